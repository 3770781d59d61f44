# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The end of any of a VM's processes, at any moment. That nothing is left is checked after every case; here it
# is checked after every round, too.

all_devices() {
	disk_make "$T/disk"
	devices=(--disk path="$T/disk" --rng src=/dev/urandom --console null)
}

signal_case() {
	all_devices
	watch_start "${devices[@]}" --serial tty
	kill -"$1" "$core"
	vm_wait 20
	expect_status 0
}
case_death_sigterm() { signal_case TERM; }
case_death_sigint() { signal_case INT; }

case_death_sigint_to_the_terminal() {
	command -v script >/dev/null || skip "script(1) is missing"
	timeout -k 5 60 script -qefc "$bulkhead --name $NAME --kernel $(guest watch) --memory size=16M --serial null" \
		"$T/typescript" </dev/null >"$T/out" 2>"$T/err" &
	local script=$!
	wait_until 30 workers_or_core_run || fail "the VM does not start"
	sleep 0.3
	kill -INT "$(vm_pids | head -n 1)"
	wait "$script"
	status=$?
	[ $status -eq 0 ] || fail "status $status"
}
workers_or_core_run() { [ "$(vm_pids | wc -l)" -ge 2 ]; }

case_death_of_the_core() {
	all_devices
	watch_start "${devices[@]}"
	kill -KILL "$core"
	vm_wait 20
	vm_left_nothing || fail "$(describe_left)"
}

case_death_of_the_broker() {
	all_devices
	watch_start "${devices[@]}"
	kill -KILL "$(broker_pid)"
	vm_wait 20
	expect_status 1
	expect_text err 'the broker is gone, and with it every device'
}

worker_death_case() { # DEVICE-ID NAME-IN-GUEST OTHERS
	all_devices
	watch_start "${devices[@]}"
	expect_ticks 1 'blk0=ok rng0=ok console0=ok'
	kill -KILL "$(worker_pid "$1")"
	wait_until 30 grep -q "device \"$1\": worker lost" "$T/err" || fail "the log does not name the device"
	expect_ticks 2 "$2=needs-reset"
	expect_ticks 1 "$3"
	tell r
	expect_ticks 2 "$3"
	vm_quit
}
case_death_of_blk() { worker_death_case disk0 blk0 'rng0=ok console0=ok'; }
case_death_of_rng() { worker_death_case rng rng0 'blk0=ok.*console0=ok'; }
case_death_of_console() { worker_death_case console console0 'blk0=ok rng0=ok'; }

# Its device stands still and nothing else does. A reset ends by the core's deadline, the worker with it.
case_stopped_worker() {
	all_devices
	watch_start "${devices[@]}"
	local worker
	worker=$(worker_pid rng)
	kill -STOP "$worker"
	expect_ticks 4 'blk0=ok rng0=busy console0=ok'
	tell r
	reset_again() { [ "$(grep -c '^RESET rng0 ms=' "$T/out")" -ge 2 ]; }
	wait_until 100 reset_again || fail "the reset does not end"
	wait_until 20 grep -q 'device "rng": worker lost' "$T/err" || fail "the worker was not given up"
	[ ! -e "/proc/$worker" ] || fail "the worker is still there"
	expect_ticks 2 'blk0=ok rng0=needs-reset console0=ok'
	vm_quit
}

rebooted() { [ "$(grep -c '^READY' "$T/out")" -ge 2 ]; }

# The machine comes up without it.
case_death_of_rng_before_a_reboot() {
	all_devices
	watch_start "${devices[@]}"
	kill -KILL "$(worker_pid rng)"
	expect_ticks 2 'rng0=needs-reset'
	tell b
	wait_until 40 rebooted || fail "the machine does not come up again"
	expect_ticks 2 'blk0=ok rng0=(needs-reset|not-started) console0=ok'
	vm_quit
}

# Somebody who waits for a worker that never answers waits for the deadline only.
case_stopped_worker_at_a_reboot() {
	all_devices
	watch_start "${devices[@]}"
	kill -STOP "$(worker_pid console)"
	tell b
	wait_until 100 rebooted || fail "the machine does not come up again"
	expect_ticks 2 'blk0=ok rng0=ok console0=(needs-reset|not-started)'
	vm_quit
}

# Nothing of a running VM needs it; what is left of it ends when it can.
case_stopped_broker() {
	local broker
	all_devices
	watch_start "${devices[@]}"
	broker=$(broker_pid)
	kill -STOP "$broker"
	expect_ticks 5 'blk0=ok rng0=ok console0=ok'
	kill -TERM "$core"
	vm_wait 40
	kill -CONT "$broker"
	[ "$status" -ne 124 ] || fail "the core does not end"
}

# With everything stopped, the core ends in bounded time all the same.
case_stopped_workers_at_the_end() {
	all_devices
	watch_start "${devices[@]}"
	local device
	for device in disk0 rng console; do
		kill -STOP "$(worker_pid "$device")"
	done
	kill -TERM "$core"
	vm_wait 30
	expect_status 0
}

random_below() { echo $((RANDOM % $1)); }

# One round: start, wait a moment of up to 120 ms, kill somebody. The VM must be gone whoever it was, except
# for a worker of a VM that runs, which goes on until it is told to end.
death_round() { # ROUND
	local victims victim
	vm_start --kernel "$(guest watch)" --memory size=16M "${devices[@]}" --serial socket="$T/socket"
	sleep "0.$(printf %03d "$(random_below 120)")"
	case $(($1 % 4)) in
	0) victim=$core ;;
	1) victim=$(broker_pid) ;;
	*)
		read -ra victims <<<"$(children "$(broker_pid)" | tr '\n' ' ')"
		victim=${victims[$(random_below $((${#victims[@]} + 1)))]:-}
		;;
	esac
	kill -KILL "${victim:-$core}" 2>/dev/null
	[ $(($1 % 4)) -lt 2 ] || { sleep 0.05; kill -TERM "$core" 2>/dev/null; }
	vm_wait 25
	vm_left_nothing || fail "round $1, victim ${victim:-core}, status $status: $(describe_left)"
	# Only the broker could have removed it.
	[ -n "$victim" ] && [ $(($1 % 4)) -eq 1 ] && rm -f "$T/socket"
	[ ! -e "$T/socket" ] || fail "round $1: the socket is left"
	exec {input}>&-
}

case_death_at_random_moments() {
	local round
	all_devices
	for ((round = 0; round < ${BULKHEAD_DEATH_ROUNDS:-100}; round++)); do
		death_round $round
	done
}

# What a killed broker could not remove does not stop the next VM.
case_death_of_the_broker_leaves_a_socket_that_does_not_matter() {
	watch_start --console socket="$T/socket"
	kill -KILL "$(broker_pid)"
	vm_wait 20
	watch_start --console socket="$T/socket"
	vm_quit
}
