# SPDX-License-Identifier: Apache-2.0
# The devices that are not disks.
# shellcheck shell=sh

case_rng_feeds_the_guest() {
    boot rng
}

case_console_carries_short_and_long_lines() {
    boot console --console "file=$vm_dir/hvc0"
    tr -d '\r' <"$vm_dir/hvc0" | grep -qx 'console: short line' || fail "the short line is not in the console's file"
    actual=$(tr -d '\r' <"$vm_dir/hvc0" | grep '^console: long' | sha256sum)
    expect "the checksum of the long line" "${actual%% *}" "$(vm_fact console_checksum)"
}

case_every_pci_device_has_msix_vectors() {
    boot facts --console "file=$vm_dir/hvc0"
    vm_fact pci | grep -q '^0000:00:.* 0x1af4:0x1042 vectors=[2-9]' || fail "no disk with vectors: $(vm_fact pci | tr '\n' ';')"
    vm_fact pci | grep '0x1af4:' | grep -q 'vectors=0$' && fail "a device without vectors: $(vm_fact pci | tr '\n' ';')"
    true
}

case_guest_uses_kvmclock() {
    boot facts
    expect "the clock source" "$(vm_fact clocksource)" kvm-clock
}
