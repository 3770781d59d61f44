# SPDX-License-Identifier: Apache-2.0
# A machine's life over the API.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016  # dir and build are those of run; wait_for evaluates its words

case_create_boot_info_and_shutdown_in_the_order_of_an_orchestrator() {
	needs_kvm
	truncate -s 16M "$dir/disk"
	start
	expect "info without a VM" "$(api GET vm.info)" 404
	expect "boot without a VM" "$(api PUT vm.boot)" 404
	expect "create" "$(api PUT vm.create "$(config)")" 204
	expect "create again" "$(api PUT vm.create "$(config)")" 409
	expect "state" "$(state)" Created
	expect "pause before boot" "$(api PUT vm.pause)" 405
	expect "boot" "$(api PUT vm.boot)$(answer)" 204
	expect "state" "$(state)" Running
	expect "boot again" "$(api PUT vm.boot)" 405
	contains "device tree" "$(answer; api GET vm.info >/dev/null; answer)" '"pci_bdf":"0000:00:01.0"'
	expect "shutdown" "$(api PUT vm.shutdown)" 204
	expect "state" "$(state)" Shutdown
	expect "delete" "$(api PUT vm.delete)" 204
	expect "info after delete" "$(api GET vm.info)" 404
	expect "create once more" "$(api PUT vm.create "$(config)")$(answer)" 204
	expect "boot once more" "$(api PUT vm.boot)$(answer)" 204
	expect "end" "$(api PUT vmm.shutdown)" 204
	wait_for 3 ended || fail "the VMM is still there 3 s after vmm.shutdown"
	expect "exit status" "$(cat "$dir/status")" 0
	[ ! -e "$dir/api" ] || fail "the socket is left behind"
}

# What the client wanted for the machine that it does not get is not what the one that is there gets.
case_a_machine_that_is_refused_leaves_the_files_of_the_other_alone() {
	needs_kvm
	created
	truncate -s 16M "$dir/other-disk"
	expect "another" "$(api PUT vm.create "$(config | sed "s|$dir/disk|$dir/other-disk|; s|$dir/serial|$dir/other-serial|")")" 409
	expect "boot" "$(api PUT vm.boot)$(answer)" 204
	wait_for 10 test "$(ticks)" -ge 0 || fail "the guest does not write to its own serial port's file"
	[ ! -e "$dir/other-serial" ] || fail "the machine writes to the file of the one that was refused"
}

case_pause_stops_the_guest_and_resume_lets_it_go_on() {
	booted
	expect "pause" "$(api PUT vm.pause)" 204
	expect "state" "$(state)" Paused
	sleep 0.1
	! ticking || fail "the guest counts while it is paused"
	expect "pause again" "$(api PUT vm.pause)" 405
	expect "resume" "$(api PUT vm.resume)" 204
	wait_for 5 ticking || fail "the guest does not go on"
	expect "resume again" "$(api PUT vm.resume)" 405
	! grep -q 'errors=[1-9]' "$dir/serial" || fail "the guest found errors"
}

case_reboot_starts_the_guest_again() {
	booted
	wait_for 5 grep -q '^TICK 3 ' "$dir/serial" || fail "the guest does not count"
	expect "reboot" "$(api PUT vm.reboot)$(answer)" 204
	wait_for 10 eval '[ "$(grep -c "^TICK 1 " "$dir/serial")" = 2 ]' || fail "the guest did not begin again"
	expect "state" "$(state)" Running
}

case_a_deleted_machine_was_switched_off_first() {
	booted
	expect "delete" "$(api PUT vm.delete)$(answer)" 204
	expect "info" "$(api GET vm.info)" 404
	expect "ping" "$(api GET vmm.ping)" 200
	expect "workers" "$(ctl ps | grep -c -E '^(blk|rng)')" 0
}

case_a_machine_that_cannot_start_can_be_tried_again() {
	needs_kvm
	start
	expect "create" "$(api PUT vm.create "$(config)")" 204
	expect "boot without its disk" "$(api PUT vm.boot)" 500
	contains "the message" "$(answer)" "$dir/disk"
	truncate -s 16M "$dir/disk"
	expect "boot" "$(api PUT vm.boot)$(answer)" 204
}

case_the_command_line_may_start_what_the_socket_controls() {
	needs_kvm
	truncate -s 16M "$dir/disk"
	start --kernel "$build/guests/snapshot.elf" --cmdline "touch=2 interval_ms=20" --memory size=64M \
		--disk "path=$dir/disk" --serial "file=$dir/serial" --name fromcli
	expect "state" "$(state)" Running
	contains "name" "$(answer)" '"name":"fromcli"'
	wait_for 5 ticking || fail "the guest does not count"
	expect "shutdown" "$(api PUT vm.shutdown)" 204
	expect "boot" "$(api PUT vm.boot)$(answer)" 204
}

case_a_configuration_file_is_in_the_same_schema() {
	needs_kvm
	truncate -s 16M "$dir/disk"
	config '"name":"fromfile"' >"$dir/vm.json"
	start --config "$dir/vm.json"
	wait_for 5 eval '[ "$(state)" = Running ]' || fail "it does not run"
	contains "name" "$(answer)" '"name":"fromfile"'
}

case_a_wrong_configuration_file_is_told_by_its_field() {
	local status=0
	echo '{"payload":{"kernel":"/k"},"disks":[{"path":"/d","iommu":true}]}' >"$dir/vm.json"
	timeout 10 "$build/bin/bulkhead" --config "$dir/vm.json" >"$dir/output" 2>&1 </dev/null || status=$?
	expect "exit status" "$status" 2
	contains "message" "$(cat "$dir/output")" "disks[0].iommu: not supported"
}

case_a_given_socket_is_served() {
	local wrapper
	command -v python3 >/dev/null || skip "no python3 to make a listening socket"
	# Listens, and starts the VMM with the socket as descriptor 9.
	wrapper='import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(16); os.dup2(s.fileno(), 9, True)
os.execv(sys.argv[2], [sys.argv[2], "--api-socket", "fd=9", "--log-file", sys.argv[3]])'
	python3 -c "$wrapper" "$dir/api" "$build/bin/bulkhead" "$dir/log" >"$dir/output" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	wait_for 5 ctl ping || fail "no answer: $(cat "$dir/output")"
	expect "end" "$(api PUT vmm.shutdown)" 204
	wait $! || fail "exit status $?"
	touch "$dir/status"
}

case_resize_disk_changes_the_image() {
	booted
	expect "an unknown disk" "$(api PUT vm.resize-disk '{"id":"none","desired_size":33554432}')" 404
	expect "no multiple of a sector" "$(api PUT vm.resize-disk '{"id":"root","desired_size":33554433}')" 400
	expect "resize" "$(api PUT vm.resize-disk '{"id":"root","desired_size":33554432}')$(answer)" 204
	expect "size of the image" "$(stat -c %s "$dir/disk")" 33554432
}

case_counters_count() {
	booted
	expect "counters" "$(api GET vm.counters)" 200
	contains "of the disk" "$(answer)" '"root":{"read_bytes":'
}

case_a_snapshot_is_taken_of_a_paused_machine_only() {
	booted
	expect "while it runs" "$(api PUT vm.snapshot "{\"destination_url\":\"file://$dir/snap\"}")" 405
	[ ! -e "$dir/snap" ] || fail "the directory was made"
	ctl pause || fail "pause"
	expect "paused" "$(api PUT vm.snapshot "{\"destination_url\":\"file://$dir/snap\"}")$(answer)" 204
	[ -f "$dir/snap/manifest.pb" ] || fail "no manifest"
	expect "progress" "$(api GET vm.snapshot-progress)" 200
	contains "progress" "$(answer)" '"status":"completed"'
	expect "into a directory that is not empty" "$(api PUT vm.snapshot "{\"destination_url\":\"file://$dir/snap\"}")" 500
	ctl resume || fail "resume"
	wait_for 5 ticking || fail "the guest does not go on"
}

case_a_snapshot_is_restored_over_the_socket() {
	booted
	ctl pause || fail "pause"
	ctl snapshot "$dir/snap" || fail "snapshot"
	ctl delete || fail "delete"
	: >"$dir/serial"
	expect "restore" "$(api PUT vm.restore "{\"source_url\":\"file://$dir/snap\"}")$(answer)" 204
	expect "state" "$(state)" Paused
	ctl resume || fail "resume"
	wait_for 5 ticking || fail "the guest does not go on"
	! grep -q '^TICK 1 ' "$dir/serial" || fail "the guest began again"
}

# The answer comes when there is nothing of the failed one left.
case_a_restore_that_failed_can_be_tried_again_at_once() {
	booted
	ctl pause || fail "pause"
	ctl snapshot "$dir/snap" || fail "snapshot"
	ctl delete || fail "delete"
	truncate -s 32M "$dir/other"
	expect "restore" "$(api PUT vm.restore "{\"source_url\":\"file://$dir/snap\",\"overrides\":[{\"id\":\"root\",\"path\":\"$dir/other\"}]}")" 400
	contains "answer" "$(answer)" "the disk had 16777216 bytes when it was saved, the image has 33554432"
	expect "restore" "$(api PUT vm.restore "{\"source_url\":\"file://$dir/snap\"}")$(answer)" 204
	expect "state" "$(state)" Paused
}

case_a_path_alone_is_where_a_clones_serial_port_writes() {
	booted
	ctl pause || fail "pause"
	ctl snapshot "$dir/snap" || fail "snapshot"
	ctl delete || fail "delete"
	cp "$dir/disk" "$dir/copy"
	ctl restore "$dir/snap" root="$dir/copy" serial="$dir/elsewhere" resume || fail "restore"
	wait_for 5 grep -q TICK "$dir/elsewhere" || fail "the clone does not write where it was told"
}

case_sigterm_ends_a_process_whose_machine_is_off() {
	created
	kill -TERM "$(cat "$dir/pid")"
	wait_for 5 ended || fail "with a machine that was never booted it does not end"
	expect "exit status" "$(cat "$dir/status")" 0
	rm -f "$dir/status" "$dir/pid"
	booted
	expect "vm.shutdown" "$(api PUT vm.shutdown)$(answer)" 204
	kill -TERM "$(cat "$dir/pid")"
	wait_for 5 ended || fail "with a machine that was shut down it does not end"
	expect "exit status" "$(cat "$dir/status")" 0
}
