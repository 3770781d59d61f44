# SPDX-License-Identifier: Apache-2.0
# Snapshot and restore of machines that run the checksum chain (guest/scenarios/chain), and of special kinds of memory.
# shellcheck shell=sh
# shellcheck disable=SC2154  # vm_… variables are set by vm.sh

# links_of FILE...: the chain's links in the files as if they were one, as "CPU N CHECKSUM UPTIME DATE".
links_of() {
    cat "$@" | tr -d '\r' | sed -n \
        's/^guest: link \([0-9]* [0-9]* [0-9a-f]\{64\} [0-9]*\.[0-9][0-9] [0-9]\{10\}\)$/\1/p'
}

# wait_for_links COUNT: until the machine's serial port has shown so many more than it has now.
wait_for_links() {
    wanted=$(($(links_of "$vm_dir/serial" | wc -l) + $1)) tenths=600
    while [ "$(links_of "$vm_dir/serial" | wc -l)" -lt "$wanted" ]; do
        [ $tenths -gt 0 ] && [ ! -s "$vm_dir/status" ] || fail "the chain does not go on"
        sleep 0.1
        tenths=$((tenths - 1))
    done
}

# expect_chain CPUS FILE...: on every CPU links are numbered from 1 without gap or repetition, each checksum follows from
# the one before, and the uptime never goes backwards.
expect_chain() {
    cpu=$1
    shift
    cat "$@" | grep -q 'broken link' && fail "$(cat "$@" | grep 'broken link' | head -n 1)"
    while [ "$cpu" -gt 0 ]; do
        cpu=$((cpu - 1))
        links_of "$@" | grep "^$cpu " >/tmp/links
        chain=start link=0 last=0
        while read -r _ number checksum uptime _; do
            link=$((link + 1))
            expect "the number of link $link on CPU $cpu" "$number" $link
            chain=$(echo "$chain $link" | sha256sum)
            chain=${chain%% *}
            expect "the checksum of link $link on CPU $cpu" "$checksum" "$chain"
            [ "${uptime%.*}${uptime#*.}" -ge "$last" ] || fail "the uptime went backwards at link $link on CPU $cpu"
            last=${uptime%.*}${uptime#*.}
        done </tmp/links
        [ $link -gt 0 ] || fail "no link on CPU $cpu"
    done
}

# expect_console FILE...: the virtio console has shown every link of CPU 0 once, in order.
expect_console() {
    cat "$@" | tr -d '\r' | sed -n 's/^console: link 0 \([0-9]*\)$/\1/p' >/tmp/console-links
    [ -s /tmp/console-links ] || fail "nothing on the virtio console"
    seq "$(wc -l </tmp/console-links)" | cmp -s - /tmp/console-links ||
        fail "links on the virtio console: $(tr '\n' ' ' </tmp/console-links)"
}

# expect_clock: the date in the guest's next link is that of the first level, give or take what a busy machine takes.
expect_clock() {
    wait_for_links 1
    behind=$(($(date +%s) - $(links_of "$vm_dir/serial" | tail -n 1 | cut -d ' ' -f 5)))
    [ $behind -ge -2 ] && [ $behind -le 4 ] || fail "the guest's wall clock is $behind s behind"
}

expect_clean_file_system() {
    e2fsck -fn "$vm_dir/root.ext4" >/tmp/e2fsck 2>&1 || fail "e2fsck: $(tr '\n' ';' </tmp/e2fsck)"
}

# take_snapshot DIRECTORY: pauses the machine and saves it there.
take_snapshot() {
    vm_ctl pause || fail "cannot be paused"
    vm_ctl snapshot "$1" 2>"$vm_dir/progress" || fail "no snapshot: $(tail -n 1 "$vm_dir/progress")"
}

# press_power_button SCENARIO: the guest powers off cleanly and its file system is clean.
press_power_button() {
    vm_ctl power-button || fail "no power button"
    expect_end "$1"
    expect_clean_file_system
}

# The chain, with a snapshot `one` from which it goes on without a restore, and then a snapshot `two`, after
# which it is killed. serial.one and so on are as they were at the first snapshot.
prepare_chain() {
    use_machine chain
    if [ ! -d "$vm_dir" ]; then
        vm_prepare
        vm_start chain --memory size=256M --console "file=$vm_dir/hvc0" --api-socket "$vm_dir/api"
        vm_wait_for "guest: link 0 6 " 90 || fail "the chain did not begin"
        take_snapshot "$vm_dir/one"
        for file in serial hvc0 root.ext4; do
            cp "$vm_dir/$file" "$vm_dir/$file.one"
        done
        vm_ctl resume || fail "cannot be resumed after a snapshot"
        wait_for_links 5
        take_snapshot "$vm_dir/two"
        vm_kill
        touch "$vm_dir/prepared"
    fi
    [ -f "$vm_dir/prepared" ] || fail "the machine that this case shares with others failed before"
}

case_chain_goes_on_after_a_snapshot() {
    vm_is_standin && skip "about snapshots"
    prepare_chain
    expect_chain 1 "$vm_dir/serial"
}

case_snapshot_can_be_inspected() {
    vm_is_standin && skip "about snapshots"
    prepare_chain
    "$LAB_VMM" inspect "$vm_dir/one" --verify >/tmp/inspect || fail "inspect: $(tail -n 1 /tmp/inspect)"
    grep -q 'every checksum fits' /tmp/inspect || fail "inspect says: $(tail -n 1 /tmp/inspect)"
}

case_chain_goes_on_after_a_restore_by_copying() {
    vm_is_standin && skip "about snapshots"
    prepare_chain
    # Killed at least 9 seconds ago: more than expect_clock forgives.
    while [ $(($(date +%s) - $(date -r "$vm_dir/prepared" +%s))) -lt 9 ]; do sleep 0.5; done
    vm_restore "$vm_dir/two,memory_restore_mode=copy,resume=on"
    wait_for_links 5
    expect_clock
    press_power_button chain
    expect_chain 1 "$vm_dir/serial"
    expect_console "$vm_dir/hvc0"
}

case_chain_goes_on_after_a_restore_on_demand_and_another_snapshot() {
    vm_is_standin && skip "about snapshots"
    prepare_chain
    saved=$vm_dir
    use_machine chain-again
    rm -rf "$vm_dir" && mkdir "$vm_dir"
    cp "$saved/root.ext4.one" "$vm_dir/root.ext4"
    vm_restore "$saved/one,memory_restore_mode=ondemand" --disk "id=root,path=$vm_dir/root.ext4" \
        --serial "file=$vm_dir/serial" --console "file=$vm_dir/hvc0"
    vm_answers 60 || fail "not restored in time"
    vm_ctl --json info | grep -q '"state": *"Paused"' || fail "not paused after a restore without resume=on"
    vm_ctl resume || fail "cannot be resumed"
    wait_for_links 5
    expect_clock
    take_snapshot "$vm_dir/three"
    vm_kill
    vm_restore "$vm_dir/three,resume=on"
    wait_for_links 5
    expect_clock
    press_power_button chain
    expect_chain 1 "$saved/serial.one" "$vm_dir/serial"
    expect_console "$saved/hvc0.one" "$vm_dir/hvc0"
}

case_chains_on_4_cpus_go_on_after_a_restore_on_demand() {
    vm_is_standin && skip "about snapshots"
    vm_prepare
    vm_root_options=num_queues=4
    vm_start chain --cpus boot=4 --memory size=256M --api-socket "$vm_dir/api"
    for cpu in 0 1 2 3; do
        vm_wait_for "guest: link $cpu 4 " 90 || fail "the chain did not begin on CPU $cpu"
    done
    take_snapshot "$vm_dir/snapshot"
    vm_kill
    vm_restore "$vm_dir/snapshot,memory_restore_mode=ondemand,resume=on"
    wait_for_links 16
    press_power_button chain
    expect_chain 4 "$vm_dir/serial"
}

case_4_gib_on_both_sides_of_the_hole_are_used_and_restored() {
    vm_prepare
    if vm_is_standin; then
        boot facts,high-memory --memory size=4G --append bulkhead.touch_mib=192
    else
        vm_start facts,hold-memory --memory size=4G --append bulkhead.touch_mib=192 --api-socket "$vm_dir/api"
        vm_wait_for "guest: fact held round=1 " 90 || fail "the guest did not touch its memory"
        take_snapshot "$vm_dir/snapshot"
        vm_kill
        round=$(vm_fact held | wc -l)
        vm_restore "$vm_dir/snapshot,memory_restore_mode=ondemand,resume=on"
        vm_wait_for "guest: fact held round=$((round + 2)) wrong=0" 90 || fail "memory after the restore: $(vm_fact held | tail -n 1)"
        press_power_button hold-memory
    fi
    vm_fact ram | grep -qi '^100000000-' || fail "no RAM at 4 GiB: $(vm_fact ram | tr '\n' ' ')"
    [ "$(vm_fact memory_kib)" -gt $((3700 * 1024)) ] || fail "the guest sees $(vm_fact memory_kib) KiB of 4 GiB"
    touched=$(vm_fact touched)
    expect "wrong pages" "$(field "$touched" wrong)" 0
    # At least half of what was touched; the kernel prefers its highest zone.
    [ "$(field "$touched" above_4gib)" -ge $((192 * 256 / 2)) ] || fail "too few frames above 4 GiB: $touched"
}

case_memory_in_a_file_is_restored() {
    vm_is_standin && skip "about snapshots"
    vm_prepare
    vm_start chain --memory "size=256M,file=$vm_dir/memory" --api-socket "$vm_dir/api"
    vm_wait_for "guest: link 0 4 " 90 || fail "the chain did not begin"
    take_snapshot "$vm_dir/snapshot"
    vm_kill
    vm_restore "$vm_dir/snapshot,resume=on"
    wait_for_links 5
    press_power_button chain
    expect_chain 1 "$vm_dir/serial"
}

# qmp COMMAND...: each a line of JSON, in one conversation; prints what comes back, without carriage returns.
qmp() {
    printf '%s\n' "$@" | socat -t 10 - "UNIX-CONNECT:$vm_dir/qmp" | tr -d '\r'
}

# wait_for_migration: until query-migrate says that it is over; prints how it ended.
wait_for_migration() {
    tenths=600
    while [ $tenths -gt 0 ]; do
        status=$(qmp '{"execute":"query-migrate"}' | sed -n 's/^.*"return".*"status": *"\([a-z]*\)".*$/\1/p')
        case $status in setup | active) sleep 0.1 ;; *) break ;; esac
        tenths=$((tenths - 1))
    done
    echo "$status"
}

# Stop, migrate, query-migrate, start with -incoming, cont: in the order that StratoVirt documents, without negotiation.
case_qmp_saves_and_restores_huge_pages() {
    vm_is_standin && skip "about snapshots"
    echo 160 >/proc/sys/vm/nr_hugepages
    [ "$(cat /proc/sys/vm/nr_hugepages)" -ge 130 ] || fail "the first level cannot reserve huge pages"
    vm_prepare
    trap 'echo 0 >/proc/sys/vm/nr_hugepages' EXIT
    vm_start chain --memory size=256M,hugepages=on --qmp "unix:$vm_dir/qmp,server=on,wait=off,negotiate=off"
    vm_wait_for "guest: link 0 4 " 90 || fail "the chain did not begin"
    qmp '{"execute":"stop"}' >/tmp/qmp
    grep -q '"event": *"STOP"' /tmp/qmp || fail "stop gave $(cat /tmp/qmp)"
    qmp '{"execute":"migrate","arguments":{"uri":"file:'"$vm_dir"'/snapshot"}}' | grep -q '"return": *{}' || fail "migrate failed"
    expect "the migration's status" "$(wait_for_migration)" completed
    vm_kill
    vm_launch --incoming "file:$vm_dir/snapshot" --qmp "unix:$vm_dir/qmp,server=on,wait=off"
    tenths=300
    until [ -S "$vm_dir/qmp" ] && qmp '{"execute":"qmp_capabilities"}' '{"execute":"query-status"}' | grep -q '"status": *"paused"'; do
        [ $tenths -gt 0 ] || fail "not restored in time"
        tenths=$((tenths - 1))
        sleep 0.2
    done
    qmp '{"execute":"qmp_capabilities"}' '{"execute":"cont"}' >/dev/null
    wait_for_links 5
    qmp '{"execute":"qmp_capabilities"}' '{"execute":"system_powerdown"}' >/dev/null
    expect_end chain
    expect_clean_file_system
    expect_chain 1 "$vm_dir/serial"
}
