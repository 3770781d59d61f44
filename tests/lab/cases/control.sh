# SPDX-License-Identifier: Apache-2.0
# What a running guest notices of the commands that come over the socket. All but the first start from one snapshot of
# a machine that runs guest/scenarios/tick.
# shellcheck shell=sh
# shellcheck disable=SC2154  # vm_… variables are set by vm.sh

# ticks: the guest's complete lines. tick_field KEY: a field of the newest one; the number is called tick.
ticks() {
    tr -d '\r' <"$vm_dir/serial" | sed -n 's/^guest: \(tick\) \([0-9]* .*word=.*\)$/\1=\2/p'
}

tick_field() {
    field "$(ticks | tail -n 1)" "$1"
}

# wait_for_ticks COUNT: until the guest has shown so many more lines than now.
wait_for_ticks() {
    wanted=$(($(ticks | wc -l) + $1)) tenths=900
    while [ "$(ticks | wc -l)" -lt "$wanted" ]; do
        [ $tenths -gt 0 ] && [ ! -s "$vm_dir/status" ] || fail "the guest does not go on"
        sleep 0.1
        tenths=$((tenths - 1))
    done
}

# wait_for_field KEY VALUE: until the guest sees it.
wait_for_field() {
    tenths=200
    while [ "$(tick_field "$1")" != "$2" ]; do
        [ $tenths -gt 0 ] || fail "the guest sees $1=$(tick_field "$1"), not $2"
        sleep 0.1
        tenths=$((tenths - 1))
    done
}

boots_seen() {
    grep -c '^guest: userspace' "$vm_dir/serial"
}

wait_for_boots() {
    tenths=900
    while [ "$(boots_seen)" -lt "$1" ]; do
        [ $tenths -gt 0 ] || fail "the guest did not boot again"
        sleep 0.1
        tenths=$((tenths - 1))
    done
}

# Boots, is reset over the socket, boots again in the same processes, and is saved when it is up.
prepare_ticks() {
    use_machine ticks
    if [ ! -d "$vm_dir" ]; then
        vm_prepare
        make_disk data 1
        dd if=/dev/zero of="$vm_dir/data" bs=512 count=1 conv=notrunc 2>/dev/null
        vm_start tick --memory size=256M --disk "path=$vm_dir/data,id=data" --api-socket "$vm_dir/api"
        vm_wait_for "guest: tick 2 " 90 || fail "the guest did not come up"
        vm_ctl reboot || fail "reboot failed"
        wait_for_boots 2
        wait_for_ticks 4
        vm_ctl pause && vm_ctl snapshot "$vm_dir/snapshot" 2>/dev/null || fail "no snapshot"
        vm_kill
        touch "$vm_dir/prepared"
    fi
    [ -f "$vm_dir/prepared" ] || fail "the machine that this case shares with others failed before"
}

# restore_ticks MODE: a copy of that machine, running.
restore_ticks() {
    vm_is_standin && skip "about Bulkhead's socket"
    prepare_ticks
    saved=$vm_dir
    use_machine vm
    rm -rf "$vm_dir" && mkdir "$vm_dir"
    cp "$saved/root.ext4" "$saved/data" "$vm_dir/"
    : >"$vm_dir/serial"
    vm_restore "$saved/snapshot,resume=on,memory_restore_mode=$1" --disk "id=root,path=$vm_dir/root.ext4" \
        "id=data,path=$vm_dir/data" --serial "file=$vm_dir/serial"
    wait_for_ticks 2
}

case_reboot_over_the_socket_starts_the_guest_again() {
    vm_is_standin && skip "about Bulkhead's socket"
    prepare_ticks
    expect "the number of boots" "$(boots_seen)" 2
}

case_pause_stops_the_guests_counter_and_clock() {
    restore_ticks copy
    vm_ctl pause || fail "pause failed"
    sleep 0.2
    tick=$(tick_field tick) uptime=$(tick_field uptime) size=$(stat -c %s "$vm_dir/serial")
    sleep 6
    expect "what the guest has printed" "$(stat -c %s "$vm_dir/serial")" "$size"
    vm_ctl resume || fail "resume failed"
    wait_for_ticks 2
    next=$(ticks | sed -n "/^tick=$tick /{n;p;}")
    expect "the first tick after the pause" "$(field "$next" tick)" $((tick + 1))
    passed=$(($(field "$next" uptime | tr -d .) - $(echo "$uptime" | tr -d .)))
    [ $passed -ge 0 ] && [ $passed -lt 400 ] || fail "between two ticks $passed hundredths of a second have passed in the guest"
    press_power_button tick
}

case_nmi_reaches_the_guest() {
    restore_ticks ondemand
    before=$(tick_field nmi)
    vm_ctl nmi || fail "nmi failed"
    wait_for_field nmi $((before + 1))
    press_power_button tick
}

case_resize_disk_is_seen_by_the_guest() {
    restore_ticks copy
    expect "the size before" "$(tick_field sectors)" 2048
    vm_ctl resize-disk data 3M || fail "resize-disk failed"
    wait_for_field sectors 6144
    expect "the size of the file" "$(stat -c %s "$vm_dir/data")" $((3 * 1024 * 1024))
    press_power_button tick
}

case_restored_machine_reboots_by_itself_and_over_the_socket() {
    restore_ticks ondemand
    printf reboot | dd of="$vm_dir/data" conv=notrunc 2>/dev/null
    wait_for_boots 1
    wait_for_ticks 1
    vm_ctl reboot || fail "reboot failed"
    wait_for_boots 2
    wait_for_ticks 1
    press_power_button tick
}

case_sigint_ends_a_restored_machine() {
    restore_ticks copy
    kill -INT "$vm_pid"
    vm_wait 10 || fail "still running 10 s after SIGINT"
}

case_killing_the_core_ends_the_pager_too() {
    restore_ticks ondemand
    foreign_processes | grep -q bulkhead-pager || fail "there is no pager"
    kill -KILL "$vm_pid"
    vm_wait 10 || fail "the core survived SIGKILL"
}
