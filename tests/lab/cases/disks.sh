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

# One machine with every kind of disk: the root with O_DIRECT and a serial number, three with content, one of an odd
# size, one read-only, in this order.
boot_with_disks() {
    use_machine disks
    if [ ! -d "$vm_dir" ]; then
        vm_prepare
        for name in one two three odd protected; do
            make_disk $name
        done
        truncate -s $((16 * 1024 * 1024 + 512)) "$vm_dir/odd"
        vm_root_options=direct=on,serial=BULKHEAD-42
        vm_start facts,disks,write-read --disk "path=$vm_dir/one" --disk "path=$vm_dir/two" --disk "path=$vm_dir/three" \
            --disk "path=$vm_dir/odd" --disk "path=$vm_dir/protected,readonly=on"
        expect_end facts,disks,write-read
        touch "$vm_dir/booted"
    fi
    [ -f "$vm_dir/booted" ] || fail "the machine that this case shares with others failed before"
}

case_disks_keep_their_order_and_content() {
    boot_with_disks
    expect "the number of disks" "$(vm_fact disk | wc -l)" 6
    letter=b
    for name in one two three; do
        vm_said "guest: fact content vd$letter first level wrote $name" || fail "vd$letter is not disk $name"
        expect "disk $name after the guest" "$(sector $name 1)" "guest wrote vd$letter"
        letter=$(echo "$letter" | tr bc cd)
    done
}

case_disk_size_is_what_the_file_has() {
    boot_with_disks
    vm_fact disk | grep -q "^vde sectors=32769 " || fail "disks are: $(vm_fact disk | tr '\n' ';')"
}

case_readonly_disk_refuses_writes() {
    boot_with_disks
    vm_fact disk | grep -q '^vdf .*readonly=1' || fail "the read-only disk is writable in the guest"
    vm_said "guest: fact content vdf first level wrote protected" || fail "the read-only disk does not read"
    vm_said "guest: fact refused vdf" || fail "the guest could write to it"
    # The guest's block layer stops these writes by itself, because the device says it is read-only; that the
    # worker refuses what reaches it all the same is a test of the worker's own.
    expect "sector 0 of the file" "$(sector protected 0)" "first level wrote protected"
    expect "sector 1 of the file" "$(sector protected 1)" ""
}

case_direct_disk_writes_and_reads() {
    boot_with_disks
    expect_written_in_image
}

case_disk_serial_number_reaches_the_guest() {
    boot_with_disks
    vm_fact disk | grep -q '^vda .*serial=BULKHEAD-42$' || fail "the guest sees: $(vm_fact disk)"
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
    boot_4_cpus
    vm_fact disk | grep -q '^vda .*queues=4 ' || fail "the guest sees: $(vm_fact disk)"
    for queue in 0 1 2 3; do
        count=$(vm_fact interrupts | sed -n "s/^virtio[0-9]*-req\.$queue //p" | sort -n | tail -n 1)
        [ "${count:-0}" -gt 0 ] || fail "queue $queue never interrupted: $(vm_fact interrupts | tr '\n' ';')"
    done
}
