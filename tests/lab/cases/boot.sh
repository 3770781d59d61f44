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

# The machine of the next case and of one in disks.sh.
boot_4_cpus() {
    vm_root_options=num_queues=4
    boot_shared four-cpus facts,write-read,parallel-io --cpus boot=4
}

case_bzimage_boots_with_4_cpus() {
    boot_4_cpus
    expect "the CPU count" "$(vm_fact cpus)" 4
    expect_written_in_image
}

case_vmlinux_boots_through_pvh_with_4_cpus() {
    boot facts,write-read --kernel "$lab_guest/vmlinux" --cpus boot=4
    expect "the CPU count" "$(vm_fact cpus)" 4
    expect_written_in_image
}

# field "a=1 b=2" b: prints 2.
field() {
    echo "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"
}
