# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Exit statuses, and messages that say what is wrong with what.

case_exit_clean() {
	vm_run --kernel "$(guest watch)" --memory size=16M --cmdline ticks=1
	expect_status 0
	[ ! -s "$T/err" ] || fail "a clean run has something to say: $(head -n 1 "$T/err")"
}

case_exit_triple_fault() {
	vm_run --kernel "$(guest crash)" --memory size=16M --cmdline crash=triple
	expect_status 4
	expect_text err 'vCPU 0: triple fault at rip 0x'
}

case_exit_panic() {
	vm_run --kernel "$(guest crash)" --memory size=16M --cmdline crash=panic
	expect_status 4
	expect_text err "the guest's kernel panicked"
}

case_exit_instruction_that_kvm_does_not_know() {
	vm_run --kernel "$(guest crash)" --memory size=16M --cmdline crash=unsupported
	grep -q 'the_instruction_is_known_here: ok' "$T/out" && skip "this host runs guests natively"
	expect_status 3
	expect_text err "cannot run the guest's instruction at rip 0x[0-9a-f]*, bytes f0 48 0f c7"
	expect_text err 'emulates guest instructions.*bulkhead check-host'
}

expect_refusal() { # STATUS REGEX OPTIONS…
	local wanted=$1 regex=$2
	shift 2
	vm_run "$@"
	expect_status "$wanted"
	expect_text err "$regex"
	[ "$(wc -l <"$T/err")" -eq 1 ] || fail "more than one line: $(head -n 1 "$T/err")"
}

case_exit_kernel_missing() { expect_refusal 2 'kernel.*/nowhere/kernel: No such file' --kernel /nowhere/kernel; }

case_exit_not_a_kernel() {
	head -c 65536 /dev/zero >"$T/zeros"
	expect_refusal 2 "$T/zeros.*(bzImage|ELF)" --kernel "$T/zeros"
}

case_exit_kernel_is_a_directory() { expect_refusal 2 "$T is not a regular file" --kernel "$T"; }

case_exit_kernel_cut_short() {
	head -c 3000 "$(guest smoke)" >"$T/short"
	expect_refusal 2 "$T/short" --kernel "$T/short"
}

case_exit_initramfs_missing() {
	expect_refusal 2 'initramfs.*/nowhere/initramfs: No such' --kernel "$(guest smoke)" --initramfs /nowhere/initramfs
}

case_exit_initramfs_larger_than_memory() {
	truncate -s 64M "$T/initramfs"
	expect_refusal 2 'initramfs' --kernel "$(guest smoke)" --memory size=32M --initramfs "$T/initramfs"
}

case_exit_disk_missing() {
	expect_refusal 2 'disk "data": open /nowhere/disk: No such file' --kernel "$(guest smoke)" \
		--disk path=/nowhere/disk,id=data
}

case_exit_disk_of_an_odd_size() {
	truncate -s 1000 "$T/disk"
	vm_run --kernel "$(guest smoke)" --disk path="$T/disk"
	expect_status 2
	expect_text err 'core error: .*disk0.*1000 bytes.*512'
}

case_exit_disk_is_a_fifo() {
	mkfifo "$T/fifo"
	expect_refusal 2 'disk "disk0".*fifo is not a regular file or block device' --kernel "$(guest smoke)" \
		--disk path="$T/fifo"
}

case_exit_disk_locked_by_another_vm() {
	disk_make "$T/disk"
	watch_start --disk path="$T/disk"
	timeout 60 "$bulkhead" --name "$NAME-2" --kernel "$(guest smoke)" --disk path="$T/disk" \
		</dev/null >"$T/out2" 2>"$T/err2"
	status=$?
	expect_text err2 "disk \"disk0\": $T/disk is in use by another VM"
	[ $status -eq 2 ] || fail "status $status"
	timeout 60 "$bulkhead" --name "$NAME-2" --kernel "$(guest smoke)" --disk path="$T/disk",readonly=on \
		</dev/null >"$T/out2" 2>"$T/err2"
	status=$?
	vm_quit_keep_status
	[ $status -eq 2 ] || fail "a reader beside a writer: status $status"
}

case_exit_disk_shared_by_readers() {
	disk_make "$T/disk"
	watch_start --disk path="$T/disk",readonly=on
	timeout 60 "$bulkhead" --name "$NAME-2" --kernel "$(guest watch)" --memory size=16M --cmdline ticks=1 \
		--disk path="$T/disk",readonly=on </dev/null >"$T/out2" 2>"$T/err2"
	status=$?
	vm_quit_keep_status
	[ $status -eq 0 ] || fail "status $status: $(tail -n 1 "$T/err2")"
	expect_text out2 'blk0=ok'
}

case_exit_rng_source_missing() {
	expect_refusal 2 'rng.*/nowhere/entropy: No such' --kernel "$(guest smoke)" --rng src=/nowhere/entropy
}

# The disk's worker is being started when that comes out.
case_exit_rng_source_missing_beside_a_disk() {
	disk_make "$T/disk"
	expect_refusal 2 'rng.*/nowhere/entropy: No such' --kernel "$(guest smoke)" --disk path="$T/disk" \
		--rng src=/nowhere/entropy
}

case_exit_serial_socket_taken() {
	echo precious >"$T/socket"
	expect_refusal 2 "serial.*$T/socket: there is something else" --kernel "$(guest smoke)" --serial socket="$T/socket"
	[ "$(cat "$T/socket")" = precious ] || fail "the file was touched"
}

case_exit_log_file_is_a_fifo_that_nobody_reads() {
	mkfifo "$T/fifo"
	expect_refusal 2 "--log-file $T/fifo: No such device" --kernel "$(guest smoke)" --log-file "$T/fifo"
}

case_exit_kvm_is_not_ours() {
	[ "$(id -u)" = 0 ] || skip "not root"
	local status=0
	setpriv --reuid 65534 --regid 65534 --clear-groups timeout 60 "$bulkhead" --kernel "$(guest smoke)" \
		</dev/null >"$T/out" 2>"$T/err" || status=$?
	expect_text err 'kvm: open /dev/kvm: Permission denied|Permission denied'
	[ $status -eq 3 ] || fail "status $status"
}

# The broker's word about a program reaches the operator, whatever the dead program's socket did meanwhile.
case_exit_worker_is_no_program() {
	local status=0 folder=$T/bin
	mkdir "$folder"
	cp "$(dirname "$bulkhead")"/bulkhead "$(dirname "$bulkhead")"/bulkhead-broker "$folder"
	disk_make "$T/disk"
	timeout 60 "$folder/bulkhead" --kernel "$(guest smoke)" --disk path="$T/disk" </dev/null >"$T/out" 2>"$T/err" || status=$?
	expect_text err 'bulkhead-blk is not installed'
	[ $status -eq 3 ] || fail "none: status $status"
	status=0
	echo "no program" >"$folder/bulkhead-blk"
	chmod 755 "$folder/bulkhead-blk"
	timeout 60 "$folder/bulkhead" --kernel "$(guest smoke)" --disk path="$T/disk" </dev/null >"$T/out" 2>"$T/err" || status=$?
	expect_text err 'blk "disk0": exec bulkhead-blk: Exec format error'
	[ $status -eq 3 ] || fail "nonsense: status $status"
}

case_exit_memory_file_without_room() {
	[ "$(id -u)" = 0 ] || skip "not root"
	mkdir "$T/small"
	mount -t tmpfs -o size=64k none "$T/small" || skip "no tmpfs can be mounted"
	vm_run --kernel "$(guest smoke)" --memory size=64M,file="$T/small/memory"
	umount "$T/small"
	expect_status 3
	expect_text err "memory: $T/small/memory needs 64 MiB more"
}

# A file that may grow no more is an error of the write, not the end of a process.
case_exit_files_with_a_limit() {
	head -c 1048000 /dev/zero >"$T/serial"
	(ulimit -f 1024 && vm_run --kernel "$(guest watch)" --memory size=16M,file="$T/memory" --cmdline ticks=1 && expect_status 2)
	expect_text err "memory: size $T/memory: File too large"
	truncate -s 16M "$T/memory"
	(ulimit -f 1024 && vm_run --kernel "$(guest watch)" --memory size=16M,file="$T/memory" \
		--cmdline "ticks=300 interval_us=1000" --serial file="$T/serial" && expect_status 0)
	expect_text err "serial port: File too large"
}

case_exit_log_file_cannot_be_opened() {
	expect_refusal 2 '--log-file /nowhere/log: No such' --kernel "$(guest smoke)" --log-file /nowhere/log
}

case_exit_standard_streams_closed() {
	disk_make "$T/disk"
	timeout 60 "$bulkhead" --name "$NAME" --kernel "$(guest watch)" --memory size=16M --disk path="$T/disk" \
		--rng src=/dev/urandom --serial file="$T/out" --cmdline ticks=1 <&- >&- 2>&-
	status=$?
	: >"$T/err"
	expect_status 0
	expect_text out 'blk0=ok rng0=ok'
}

case_exit_reader_of_the_output_goes() {
	timeout 60 "$bulkhead" --name "$NAME" --kernel "$(guest watch)" --memory size=16M --rng src=/dev/urandom \
		--cmdline ticks=30 </dev/null 2>"$T/err" | head -n 1 >"$T/out"
	status=${PIPESTATUS[0]}
	expect_status 0
	expect_text err 'serial port: (Broken pipe|nobody reads it any more): its output is dropped'
}

case_exit_output_is_full() {
	vm_run --kernel "$(guest watch)" --memory size=16M --serial file=/dev/full --log-file /dev/full -v --cmdline ticks=2
	expect_status 0
}

case_exit_few_fds() {
	all_devices
	(
		ulimit -S -n 16
		exec timeout 60 "$bulkhead" --name "$NAME" --kernel "$(guest watch)" --memory size=16M "${devices[@]}" \
			--cmdline ticks=1 </dev/null >"$T/out" 2>"$T/err"
	)
	status=$?
	expect_status 0
	(
		ulimit -n 16
		exec timeout 60 "$bulkhead" --name "$NAME" --kernel "$(guest watch)" --memory size=16M "${devices[@]}" \
			--cmdline ticks=1 </dev/null >"$T/out" 2>"$T/err"
	)
	status=$?
	[ "$status" -eq 1 ] || [ "$status" -eq 3 ] || fail "status $status with 16 fds"
	expect_text err 'error: .*(open files|file descriptors)'
}
