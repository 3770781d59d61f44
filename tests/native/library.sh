# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the cases are made of. A case runs in a subshell, with its own folder $T and its own VM name $NAME;
# it ends with fail, skip, or by returning 0.
SKIP=77
LIMIT_S=90                      # for a guest that does work; the machine may be busy
SETTLE_MS=${BULKHEAD_SETTLE_MS:-2000} # in which everything of a VM is gone
bulkhead=$build/bin/bulkhead
helper=$build/tests/native/helper

suite_begin() {
	work=$(mktemp -d "$build/native.XXXXXX") || exit 2
	shared_memory=$(mktemp -d /dev/shm/bulkhead-native.XXXXXX) || exit 2
	chmod 755 "$work" "$shared_memory"
}

# Ends only what was started here: processes that carry the name of one of our VMs.
suite_end() {
	kill_named "native-$$-[a-z0-9_-]*"
	rm -rf "$work" "$shared_memory"
}

case_begin() {
	NAME=native-$$-${1//_/-}
	NAME=${NAME:0:38}
	T=$work/$1
	mkdir -m 755 "$T"
}

case_end() { [ "$1" -ne 0 ] && [ -n "${BULKHEAD_KEEP:-}" ] && cp -r "$T" "$build/"; rm -rf "$T"; }

fail() { echo "$*" >"$T/reason"; exit 1; }
skip() { echo "$*" >"$T/reason"; exit "$SKIP"; }

# ---- processes ---------------------------------------------------------------------------------------

# Pids of the VM NAME (a basic regular expression; default ours): core, broker, workers.
vm_pids() {
	local name=${1:-${NAME}[a-z0-9-]*}
	grep -lsz "^--vm-name=$name\$\|^$name\$" /proc/[0-9]*/cmdline 2>/dev/null |
		sed 's|/proc/\([0-9]*\)/.*|\1|'
}

kill_named() {
	local pids
	pids=$(vm_pids "$1")
	# shellcheck disable=SC2086  # one argument a pid
	[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
}

now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

# True once COMMAND… is; false after SECONDS.
wait_until() { # SECONDS COMMAND…
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.03
	done
}

vm_is_gone() { [ -z "$(vm_pids)" ]; }

# Nothing of our VMs is left within SETTLE_MS.
vm_left_nothing() {
	local end=$(($(now_ms) + SETTLE_MS))
	until vm_is_gone; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.03
	done
}

describe_left() {
	local pid
	for pid in $(vm_pids); do
		echo "left: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-100)"
	done
}

# After a case: what is left is a failure of it, and goes.
case_check_left() {
	local left
	if ! vm_left_nothing; then
		left=$(describe_left)
		echo "${left//$'\n'/; }" >"$T/reason"
		echo "$left" >>"$T/case.out"
		kill_named "${NAME}[a-z0-9-]*"
		return 1
	fi
	left=$(find "$T" -type s 2>/dev/null)
	[ -e "$T/may-leave-socket" ] && left=
	[ -z "$left" ] || { echo "left a socket: $left" >"$T/reason"; return 1; }
	[ -e "$T/cores" ] || return 0
	while read -r pid; do
		left=$(find /sys/fs/cgroup -maxdepth 6 -name "bulkhead-$pid" 2>/dev/null)
		[ -z "$left" ] || { echo "left a cgroup: $left" >"$T/reason"; return 1; }
	done <"$T/cores"
}

# ---- running a VM --------------------------------------------------------------------------------------

guest() { echo "$build/guests/$1.elf"; }

# Run to the end; $status, $T/out (serial port) and $T/err (log).
vm_run() {
	timeout -k 5 "$LIMIT_S" "$bulkhead" --name "$NAME" "$@" </dev/null >"$T/out" 2>"$T/err"
	status=$?
}

# Start in the background; $core. Its standard input is what is written to fd $input.
vm_start() {
	rm -f "$T/in"
	mkfifo "$T/in"
	: >"$T/out" # before anybody looks for a line of this VM
	exec {input}<>"$T/in"
	"$bulkhead" --name "$NAME" "$@" <"$T/in" >"$T/out" 2>"$T/err" {input}>&- &
	core=$!
	echo "$core" >>"$T/cores"
}

# Like vm_start with the guest that asks its devices again and again; returns when it does.
watch_start() {
	case " $*" in *" --memory "*) ;; *) set -- --memory size=32M "$@" ;; esac
	vm_start --kernel "$(guest watch)" "$@"
	wait_until 30 grep -q '^TICK 0.*;$' "$T/out" || fail "the guest does not come up: $(tail -n 1 "$T/err")"
}

tell() { echo -n "$1" >&"$input"; }

# The VM ends within SECONDS; its exit status in $status.
vm_wait() {
	wait_until "$1" core_is_gone || fail "the core does not end within $1 s"
	wait "$core"
	status=$?
}

# A zombie is gone, too: it waits only for us.
core_is_gone() {
	local state
	state=$(sed 's/.*) //; s/ .*//' "/proc/$core/stat" 2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ]
}

vm_quit() {
	tell q
	vm_wait 30
	[ "$status" -eq 0 ] || fail "ended with status $status: $(tail -n 1 "$T/err")"
}

# ---- judging -------------------------------------------------------------------------------------------

expect_status() { # STATUS
	[ "$status" -eq "$1" ] || fail "ended with status $status, not $1: $(tail -n 1 "$T/err")"
}

expect_text() { # FILE REGEX
	grep -Eq -- "$2" "$T/$1" || fail "no \"$2\" in $1: $(tail -n 1 "$T/$1")"
}

expect_no_text() { # FILE REGEX
	! grep -Eq -- "$2" "$T/$1" || fail "in $1: $(grep -E -- "$2" "$T/$1" | head -n 1)"
}

# The guest ran its checks, all of them well, and switched off.
expect_guest_passed() {
	local bad
	bad=$(grep -a 'TEST .*FAIL' "$T/out" | head -n 1)
	[ -z "$bad" ] || fail "$bad"
	expect_status 0
	grep -aEq 'GUEST DONE pass=[1-9][0-9]* fail=0' "$T/out" || fail "the guest did not finish: $(tail -n 1 "$T/out")"
}

# Ticks that are complete in the output so far; the one under way does not count.
ticks() { grep -c '^TICK .*;$' "$T/out"; }

# Another COUNT ticks come within 60 s, and the last of them matches REGEX.
expect_ticks() { # COUNT REGEX
	local goal=$(($(ticks) + $1))
	ticks_reached() { [ "$(ticks)" -ge "$goal" ]; }
	wait_until 60 ticks_reached || fail "the guest stands still: $(tail -n 1 "$T/out")"
	grep '^TICK .*;$' "$T/out" | tail -n 1 | grep -Eq -- "$2" ||
		fail "expected \"$2\": $(grep '^TICK .*;$' "$T/out" | tail -n 1)"
}

disk_make() { truncate -s "${2:-8M}" "$1"; }

children() { cat /proc/"$1"/task/*/children 2>/dev/null; }

broker_pid() { children "$core" | tr -d ' '; }

# The process of a device: worker_pid rng
worker_pid() {
	local pid
	for pid in $(children "$(broker_pid)"); do
		grep -qsz "^--device-id=$1\$" "/proc/$pid/cmdline" && echo "$pid"
	done
}
