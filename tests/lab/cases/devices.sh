# SPDX-License-Identifier: Apache-2.0
# The devices that are not disks.
# shellcheck shell=sh

boot_every_device() {
    use_machine every-device
    boot_shared every-device rng,console,facts --console "file=$vm_dir/hvc0"
}

case_rng_feeds_the_guest() {
    boot_every_device
    vm_said "guest: ok rng" || fail "two reads of /dev/hwrng are the same, or it is not virtio's"
}

case_console_carries_short_and_long_lines() {
    boot_every_device
    tr -d '\r' <"$vm_dir/hvc0" | grep -qx 'console: short line' || fail "the short line is not in the console's file"
    actual=$(tr -d '\r' <"$vm_dir/hvc0" | grep '^console: long' | sha256sum)
    expect "the checksum of the long line" "${actual%% *}" "$(vm_fact console_checksum)"
}

case_every_pci_device_has_msix_vectors() {
    boot_every_device
    vm_fact pci | grep -q '^0000:00:.* 0x1af4:0x1042 vectors=[2-9]' || fail "no disk with vectors: $(vm_fact pci | tr '\n' ';')"
    vm_fact pci | grep '0x1af4:' | grep -q 'vectors=0$' && fail "a device without vectors: $(vm_fact pci | tr '\n' ';')"
    true
}

case_guest_uses_kvmclock() {
    boot_every_device
    expect "the clock source" "$(vm_fact clocksource)" kvm-clock
}
