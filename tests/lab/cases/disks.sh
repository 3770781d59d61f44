# SPDX-License-Identifier: Apache-2.0
# Disks: how many, read-only, many queues, direct.
# shellcheck shell=sh

# make_disk NAME [MIB]: a sparse disk whose first sector says "first level wrote NAME".
make_disk() {
    printf 'first level wrote %s' "$1" >"$vm_dir/$1"
    truncate -s "${2:-16}M" "$vm_dir/$1"
}

# sector NAME NUMBER: the text in a 512-byte sector of a disk.
sector() {
    dd if="$vm_dir/$1" bs=512 skip="$2" count=1 2>/dev/null | tr -d '\000'
}

# boot_with_disks SCENARIOS "NAME[,OPTION...]"... -- OPTION...: like boot, with more disks behind the root.
boot_with_disks() {
    scenarios=$1
    shift
    vm_prepare
    options=''
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        make_disk "${1%%,*}"
        options="$options --disk path=$vm_dir/$1"
        shift
    done
    [ $# -eq 0 ] || shift
    # shellcheck disable=SC2086  # a list of words
    vm_start "$scenarios" "$@" $options
    vm_wait 60 || fail "the guest did not power off in time"
    expect "the exit status" "$vm_status" 0
    for scenario in $(echo "$scenarios" | tr ',' ' '); do
        vm_said "guest: ok $scenario" || fail "scenario $scenario did not succeed in the guest"
    done
}

case_four_disks_keep_their_order_and_content() {
    boot_with_disks facts,disks one two three
    expect "the number of disks" "$(vm_fact disk | wc -l)" 4
    letter=b
    for name in one two three; do
        vm_said "guest: fact content vd$letter first level wrote $name" || fail "vd$letter is not disk $name"
        expect "disk $name after the guest" "$(sector $name 1)" "guest wrote vd$letter"
        letter=$(echo "$letter" | tr bc cd)
    done
}

case_disk_size_is_what_the_file_has() {
    vm_prepare
    make_disk odd 16
    truncate -s $((16 * 1024 * 1024 + 512)) "$vm_dir/odd"
    vm_start facts --disk "path=$vm_dir/odd"
    vm_wait 60 || fail "the guest did not power off in time"
    vm_fact disk | grep -q "^vdb sectors=32769 " || fail "disks are: $(vm_fact disk | tr '\n' ';')"
}

case_readonly_disk_refuses_writes() {
    boot_with_disks facts,readonly-disk protected,readonly=on
    vm_said "guest: fact content vdb first level wrote protected" || fail "the read-only disk does not read"
    # The guest's block layer stops these writes by itself, because the device says it is read-only; that the
    # worker refuses what reaches it all the same is a test of the worker's own.
    expect "sector 0 of the file" "$(sector protected 0)" "first level wrote protected"
}

case_readonly_root_boots() {
    before=$(sha256sum <"$lab_guest/root.ext4")
    vm_root_options=readonly=on
    boot facts
    vm_fact disk | grep -q '^vda .*readonly=1' || fail "the root disk is writable in the guest"
    after=$(sha256sum <"$vm_dir/root.ext4")
    expect "the checksum of the read-only root" "$after" "$before"
}

case_multiqueue_disk_uses_every_queue() {
    vm_root_options=num_queues=4
    boot facts,parallel-io --cpus boot=4
    vm_fact disk | grep -q '^vda .*queues=4 ' || fail "the guest sees: $(vm_fact disk)"
    for queue in 0 1 2 3; do
        count=$(vm_fact interrupts | sed -n "s/^virtio[0-9]*-req\.$queue //p" | sort -n | tail -n 1)
        [ "${count:-0}" -gt 0 ] || fail "queue $queue never interrupted: $(vm_fact interrupts | tr '\n' ';')"
    done
}

case_direct_disk_writes_and_reads() {
    vm_root_options=direct=on
    boot facts,write-read
    expect_written_in_image
}

case_disk_serial_number_reaches_the_guest() {
    vm_root_options=serial=BULKHEAD-42
    boot facts
    vm_fact disk | grep -q '^vda .*serial=BULKHEAD-42$' || fail "the guest sees: $(vm_fact disk)"
}
