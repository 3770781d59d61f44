# SPDX-License-Identifier: Apache-2.0
# Kernels, CPUs and memory.
# shellcheck shell=sh

# The written file as the first level finds it in the image after the guest is gone.
expect_written_in_image() {
    mkdir -p /mnt/image
    mount -t ext4 -o loop,ro,noload "$vm_dir/root.ext4" /mnt/image || fail "the root image does not mount after power-off"
    actual=$(sha256sum </mnt/image/written)
    umount /mnt/image
    expect "the file in the image" "${actual%% *}" "$(vm_fact written)"
}

case_bzimage_boots_with_1_cpu_and_256_mib() {
    boot facts,write-read --memory size=256M
    expect "the CPU count" "$(vm_fact cpus)" 1
    memory_kib=$(vm_fact memory_kib)
    [ "$memory_kib" -gt $((150 * 1024)) ] && [ "$memory_kib" -le $((256 * 1024)) ] ||
        fail "the guest sees $memory_kib KiB of 256 MiB"
    expect_written_in_image
}

case_bzimage_boots_with_4_cpus() {
    boot facts,write-read --cpus boot=4
    expect "the CPU count" "$(vm_fact cpus)" 4
    expect_written_in_image
}

case_vmlinux_boots_through_pvh() {
    boot facts,write-read --kernel "$lab_guest/vmlinux"
    expect "the CPU count" "$(vm_fact cpus)" 1
    expect_written_in_image
}

case_vmlinux_boots_with_4_cpus() {
    boot facts --kernel "$lab_guest/vmlinux" --cpus boot=4
    expect "the CPU count" "$(vm_fact cpus)" 4
}

case_memory_beyond_the_hole_is_used_with_4_gib() {
    boot facts,high-memory --memory size=4G --append bulkhead.touch_mib=192
    vm_fact ram | grep -qi '^100000000-' || fail "no RAM at 4 GiB: $(vm_fact ram | tr '\n' ' ')"
    [ "$(vm_fact memory_kib)" -gt $((3700 * 1024)) ] || fail "the guest sees $(vm_fact memory_kib) KiB of 4 GiB"
    touched=$(vm_fact touched)
    expect "wrong pages" "$(field "$touched" wrong)" 0
    # At least half of what was touched; the kernel prefers its highest zone.
    [ "$(field "$touched" above_4gib)" -ge $((192 * 256 / 2)) ] || fail "too few frames above 4 GiB: $touched"
}

# field "a=1 b=2" b: prints 2.
field() {
    echo "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"
}
