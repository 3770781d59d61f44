# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Guests that check the machine themselves, on machines of many shapes.

case_smoke() {
	vm_run --kernel "$(guest smoke)" --cmdline "one two" --memory size=32M
	expect_guest_passed
	expect_text out 'cmdline "one two"'
}

case_devices_one_of_each() {
	disk_make "$T/disk"
	vm_run --kernel "$(guest devices)" --memory size=64M --cpus boot=2 --disk path="$T/disk" --rng src=/dev/urandom \
		--console file="$T/console" --cmdline "expect_blk=1 expect_rng=1 expect_console=1"
	expect_guest_passed
	[ -s "$T/console" ] || fail "nothing came by the virtio console"
}

case_devices_four_disks() {
	local i
	for i in 1 2 3; do disk_make "$T/disk$i"; done
	disk_make "$shared_memory/disk"
	vm_run --kernel "$(guest devices)" --memory size=64M --cpus boot=2 \
		--disk path="$T/disk1",num_queues=4,serial=abc path="$T/disk2",readonly=on \
		path="$T/disk3",direct=on,id=direct path="$shared_memory/disk",queue_size=16 \
		--cmdline "expect_blk=4 expect_rng=0 expect_console=0"
	expect_guest_passed
	cmp -s "$T/disk2" <(head -c 8M /dev/zero) || fail "the read-only disk was written to"
	cmp -s "$T/disk1" <(head -c 8M /dev/zero) && fail "nothing was written to the disk"
	rm -f "$shared_memory/disk"
}

smp_case() {
	vm_run --kernel "$(guest smp)" --cpus boot="$1",max="$2" --memory size=32M --cmdline "expect_cpus=$1"
	expect_guest_passed
}
case_smp_1() { smp_case 1 1; }
case_smp_2() { smp_case 2 2; }
case_smp_4() { smp_case 4 4; }
case_smp_16() { smp_case 16 16; }

case_timers() {
	vm_run --kernel "$(guest timers)" --memory size=32M
	expect_guest_passed
}

reset_case() {
	disk_make "$T/disk"
	vm_run --kernel "$(guest reset)" --memory size=32M --cpus boot=2 --disk path="$T/disk" --rng src=/dev/urandom \
		--console null --cmdline "reset=$1 boots=4 count=disk"
	expect_guest_passed
	expect_text out '^BOOT 4'
}
case_reset_i8042() { reset_case i8042; }
case_reset_acpi() { reset_case acpi; }

case_memory_16m() {
	vm_run --kernel "$(guest smoke)" --memory size=16M
	expect_guest_passed
}

case_memory_above_4g() {
	vm_run --kernel "$(guest smoke)" --memory size=5G
	expect_guest_passed
	expect_text out '^memory 000100000000-00017fffffff type 1'
}

case_memory_prefault() {
	vm_run --kernel "$(guest smoke)" --memory size=32M,prefault=on,thp=on
	expect_guest_passed
}

case_memory_of_a_file() {
	vm_run --kernel "$(guest smoke)" --memory size=32M,file="$T/memory"
	expect_guest_passed
	[ "$(stat -c %s "$T/memory")" -eq $((32 << 20)) ] || fail "the file has not the size of the memory"
	grep -aq 'hello from the guest' "$T/memory" || fail "the guest's memory is not in the file"
}

case_memory_of_a_file_that_another_vm_uses() {
	watch_start --memory size=32M,file="$T/memory"
	timeout 60 "$bulkhead" --name "$NAME-2" --kernel "$(guest smoke)" --memory size=32M,file="$T/memory" \
		</dev/null >"$T/out2" 2>"$T/err2"
	status=$?
	vm_quit_keep_status
	[ "$status" -eq 2 ] || fail "the second VM ended with status $status"
	expect_text err2 'memory.*in use by another VM'
}

vm_quit_keep_status() { local kept=$status; vm_quit; status=$kept; }

huge_pages=/proc/sys/vm/nr_hugepages

# First without any, then with some; one case, because they are the host's.
case_memory_hugepages() {
	local before
	before=$(cat $huge_pages 2>/dev/null)
	if [ "$before" = 0 ]; then
		vm_run --kernel "$(guest smoke)" --memory size=32M,hugepages=on
		expect_status 3
		expect_text err 'not enough free 2 MiB huge pages .*nr_hugepages'
	fi
	[ -w $huge_pages ] || skip "huge pages can be reserved by root only"
	# Others may do the same at the same time: taken back is what was added.
	trap 'echo $(($(cat $huge_pages) - 32)) >$huge_pages' EXIT
	echo $(($(cat $huge_pages) + 32)) >$huge_pages
	[ "$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)" -ge 16 ] || skip "this host has no room for 16 huge pages"
	disk_make "$T/disk"
	vm_run --kernel "$(guest watch)" --memory size=32M,hugepages=on --disk path="$T/disk" --rng src=/dev/urandom \
		--cmdline ticks=3
	expect_guest_passed
	expect_text out '^TICK 2 blk0=ok rng0=ok;$'
}
