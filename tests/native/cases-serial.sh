# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The serial port and the virtio console at everything they can be connected to. The guest echoes letters.

case_serial_standard_input_and_output() {
	watch_start --rng src=/dev/urandom
	tell xyz
	wait_until 30 grep -q xyz "$T/out" || fail "no echo"
	vm_quit
}

case_serial_standard_input_ends() {
	vm_run --kernel "$(guest watch)" --memory size=16M --cmdline ticks=3
	expect_guest_passed
}

# A terminal of its own: raw while the guest has it, as it was afterwards.
case_serial_on_a_terminal() {
	command -v script >/dev/null || skip "script(1) is missing"
	mkfifo "$T/keys"
	exec {keys}<>"$T/keys"
	timeout -k 5 60 script -qefc "stty -a >$T/before; $bulkhead --name $NAME --kernel $(guest watch) --memory size=16M; \
		echo status \$?; stty -a >$T/after" "$T/typescript" <"$T/keys" >"$T/out" 2>"$T/err" &
	local script=$!
	wait_until 30 grep -aq '^READY' "$T/out" || fail "the guest does not come up"
	echo -n xyz >&"$keys"
	wait_until 30 grep -aq xyz "$T/out" || fail "no echo"
	echo -n q >&"$keys"
	wait "$script"
	expect_text out 'status 0'
	cmp -s "$T/before" "$T/after" || fail "the terminal is not as it was"
}

case_serial_off() {
	vm_run --kernel "$(guest watch)" --memory size=16M --serial off --cmdline ticks=1
	expect_status 0
	[ ! -s "$T/out" ] || fail "output: $(head -n 1 "$T/out")"
}

case_serial_null() {
	vm_run --kernel "$(guest watch)" --memory size=16M --serial null --cmdline ticks=1
	expect_status 0
	[ ! -s "$T/out" ] || fail "output: $(head -n 1 "$T/out")"
}

case_serial_file() {
	echo before >"$T/file"
	vm_run --kernel "$(guest watch)" --memory size=16M --serial file="$T/file" --cmdline ticks=1
	expect_status 0
	[ "$(head -n 1 "$T/file")" = before ] || fail "the file was not appended to"
	expect_text file 'GUEST DONE'
	[ ! -s "$T/out" ] || fail "output: $(head -n 1 "$T/out")"
}

pty_path() { sed -n "s|.*$1: pseudo terminal \(/dev/pts/[0-9]*\)\$|\1|p" "$T/err"; }

case_serial_pty() {
	vm_start --kernel "$(guest watch)" --memory size=16M --serial pty
	wait_until 30 grep -q 'serial: pseudo terminal /dev/pts/' "$T/err" || fail "its path is not printed"
	local path
	path=$(pty_path serial)
	timeout 30 "$helper" pty "$path" xyz 2 >"$T/pty1" || fail "the terminal cannot be opened"
	grep -q xyz "$T/pty1" || fail "no echo"
	timeout 30 "$helper" pty "$path" "" 1 >"$T/pty2" || fail "the terminal cannot be opened again"
	grep -q TICK "$T/pty2" || fail "nothing comes the second time"
	timeout 30 "$helper" pty "$path" q 1 >"$T/pty3"
	vm_wait 30
	expect_status 0
	[ ! -e "$path" ] || pty_is_anothers "$path" || fail "$path is left"
}

# The number may have been given to somebody else at once.
pty_is_anothers() { [ "$(stat -c %Y "$1")" -gt "$(stat -c %Y "$T/pty1")" ]; }

case_serial_socket() {
	vm_start --kernel "$(guest watch)" --memory size=16M --serial socket="$T/socket"
	wait_until 30 test -S "$T/socket" || fail "there is no socket"
	[ "$(stat -c %a "$T/socket")" = 600 ] || fail "others may connect: mode $(stat -c %a "$T/socket")"
	timeout 30 "$helper" socket "$T/socket" send xyz 2 >"$T/client1" || fail "cannot connect"
	grep -q xyz "$T/client1" || fail "no echo"
	timeout 30 "$helper" socket "$T/socket" send uvw 2 >"$T/client2" || fail "cannot connect again"
	grep -q uvw "$T/client2" || fail "no echo for the second client"
	timeout 30 "$helper" socket "$T/socket" flood 4000000
	timeout 30 "$helper" socket "$T/socket" send "" 2 >"$T/client3" || fail "cannot connect after a flood"
	grep -q TICK "$T/client3" || fail "nothing comes after a flood"
	timeout 30 "$helper" socket "$T/socket" send q 2 >"$T/client4"
	vm_wait 30
	expect_status 0
}

# The guest's rounds are counted on the disk's side of it: the serial port is what the client blocks.
case_serial_client_that_never_reads() {
	vm_start --kernel "$(guest watch)" --memory size=16M --serial socket="$T/socket" --console file="$T/console" \
		--cmdline interval_us=1000
	wait_until 30 test -S "$T/socket" || fail "there is no socket"
	timeout 60 "$helper" socket "$T/socket" idle 30 &
	local client=$!
	wait_until 20 test "$(stat -c %s "$T/console" 2>/dev/null || echo 0)" -ge 0
	console_grows_for 3 || fail "the guest stands still"
	kill "$client"
	kill -TERM "$core"
	vm_wait 20
	expect_status 0
}

console_size() { stat -c %s "$T/console" 2>/dev/null || echo 0; }

console_grows_for() { # SECONDS, each of them (given twenty)
	local i before
	for ((i = 0; i < $1; i++)); do
		before=$(console_size)
		console_grew() { [ "$(console_size)" -gt $((before + 60)) ]; }
		wait_until 20 console_grew || return 1
		sleep 1
	done
}

case_console_file() {
	watch_start --console file="$T/console"
	expect_ticks 2 'console0=ok'
	vm_quit
	expect_text console '^watch'
}

case_console_null() {
	watch_start --console null
	expect_ticks 2 'console0=ok'
	vm_quit
}

case_console_pty() {
	watch_start --console pty
	local path
	path=$(pty_path console)
	[ -n "$path" ] || fail "its path is not printed"
	timeout 30 "$helper" pty "$path" "" 2 >"$T/pty" || fail "the terminal cannot be opened"
	expect_text pty watch
	expect_ticks 2 'console0=ok'
	vm_quit
}

case_console_socket() {
	watch_start --console socket="$T/socket"
	timeout 30 "$helper" socket "$T/socket" send "" 2 >"$T/client1" || fail "cannot connect"
	expect_text client1 watch
	timeout 30 "$helper" socket "$T/socket" send input 2 >"$T/client2" || fail "cannot connect again"
	expect_text client2 watch
	timeout 30 "$helper" socket "$T/socket" flood 2000000
	expect_ticks 2 'console0=ok'
	vm_quit
}

case_console_client_that_never_reads() {
	watch_start --console socket="$T/socket" --rng src=/dev/urandom
	timeout 60 "$helper" socket "$T/socket" idle 20 &
	local client=$!
	expect_ticks 20 'rng0=ok'
	kill "$client"
	vm_quit
}

case_console_on_a_terminal() {
	command -v script >/dev/null || skip "script(1) is missing"
	timeout -k 5 60 script -qefc "$bulkhead --name $NAME --kernel $(guest watch) --memory size=16M --console tty \
		--cmdline ticks=3; echo status \$?" "$T/typescript" </dev/null >"$T/out" 2>"$T/err"
	expect_text out 'status 0'
	expect_text out '^watch'
}
