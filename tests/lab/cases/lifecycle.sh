# SPDX-License-Identifier: Apache-2.0
# How a machine ends, and what it leaves behind.
# shellcheck shell=sh

# start_idle: a machine whose guest is up and does nothing.
start_idle() {
    vm_prepare
    vm_start idle
    vm_wait_for "guest: idle" 60 || fail "the guest did not come up"
}

case_reboot_runs_the_guest_again_in_the_same_process() {
    boot reboot
    expect "what the guest saw" "$(vm_fact boot | tr '\n' ' ')" "first second "
}

case_guest_panic_is_not_a_clean_exit() {
    vm_is_standin && skip "QEMU calls a triple fault a reset"
    vm_prepare
    vm_start panic --append reboot=t
    vm_wait 60 || fail "the monitor did not end after the guest's panic"
    grep -q 'Kernel panic' "$vm_dir/serial" || fail "the guest did not panic"
    [ "$vm_status" != 0 ] || fail "exit status 0 after a panic"
}

case_sigterm_ends_everything() {
    start_idle
    kill -TERM "$vm_pid"
    vm_wait 10 || fail "still running 10 s after SIGTERM"
}

case_killing_the_core_during_start_ends_everything() {
    for delay_s in 0.001 0.02 0.06 0.15 0.4; do
        vm_prepare
        vm_start idle
        sleep $delay_s
        kill -KILL "$vm_pid" 2>/dev/null
        vm_wait 10 || fail "the core survived SIGKILL after $delay_s s"
        after_case
    done
}

case_unreadable_kernel_is_a_configuration_error() {
    vm_prepare
    vm_start facts --kernel /nonexistent/kernel
    vm_wait 10 || fail "the monitor runs without a kernel"
    [ "$vm_status" != 0 ] || fail "exit status 0 without a kernel"
    cat "$vm_dir/output" "$vm_dir/log" 2>/dev/null | grep -q '/nonexistent/kernel' || fail "the message does not name the file"
}

case_ordinary_user_gets_the_same_machine() {
    vm_is_standin && skip "about Bulkhead's sandbox"
    vm_prepare
    chown -R 1000:1000 "$vm_dir"
    chmod -R a+rX /lab /opt /scratch
    monitor=$LAB_VMM
    printf '#!/bin/sh\nexec su -s /bin/sh user -c '\''exec "$0" "$@"'\'' -- %s "$@"\n' "$monitor" >/tmp/as-user
    chmod 755 /tmp/as-user
    LAB_VMM=/tmp/as-user
    vm_start facts,write-read
    vm_wait 60 || fail "the guest did not power off in time"
    expect "the exit status" "$vm_status" 0
    vm_said "guest: ok write-read" || fail "scenario write-read did not succeed in the guest"
}
