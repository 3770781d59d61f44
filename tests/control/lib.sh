# SPDX-License-Identifier: Apache-2.0
#
# What the cases share; sourced by tests/control/run. $dir is the case's folder, $build the build's.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2120,SC2119  # dir and build are the sourcing script's; config is called by the cases

fail() {
	echo "FAIL: $*"
	[ ! -f "$dir/log" ] || { echo "--- log"; tail -n 15 "$dir/log"; }
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

expect() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: \"$2\" instead of \"$3\""
}

contains() { # WHAT TEXT PART
	case $2 in *"$3"*) ;; *) fail "$1: no \"$3\" in: $2" ;; esac
}

# wait_for SECONDS COMMAND…: until the command succeeds.
wait_for() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

needs_kvm() {
	[ -w /dev/kvm ] || skip "no /dev/kvm"
}

# start OPTION…: a VMM with its API socket at $dir/api, log at $dir/log. Its process is in $dir/pid, its exit status in
# $dir/status.
start() {
	(
		exec 9>&-
		"$build/bin/bulkhead" --api-socket "$dir/api" --log-file "$dir/log" -v "$@" >"$dir/output" 2>&1 </dev/null &
		echo $! >"$dir/pid"
		wait $!
		echo $? >"$dir/status"
	) &
	wait_for 5 test -s "$dir/pid" || fail "the VMM did not start"
	wait_for 5 ctl ping || fail "the VMM does not answer: $(cat "$dir/output")"
}

ended() {
	[ -f "$dir/status" ]
}

# The case is over: nothing of it may be left. Only processes that it started are ended.
end_machines() {
	[ -s "$dir/pid" ] || return 0
	ended || kill -TERM "$(cat "$dir/pid")" 2>/dev/null
	wait_for 5 ended || kill -KILL "$(cat "$dir/pid")" 2>/dev/null
	wait
}

ctl() {
	"$build/bin/bulkheadctl" --socket "$dir/api" --timeout 20 "$@"
}

# api METHOD NAME [BODY]: prints the status; the answer's body is in $dir/answer.
api() {
	local body=()
	[ $# -lt 3 ] || body=(--data-binary "$3" -H 'Content-Type: application/json')
	curl -s -o "$dir/answer" -w '%{http_code}' --max-time 20 --unix-socket "$dir/api" -X "$1" "${body[@]}" \
		"http://localhost/api/v1/$2"
}

answer() {
	cat "$dir/answer"
}

# config [MEMBER…]: a VmConfig whose guest counts on its serial port, which is the file $dir/serial.
config() {
	local more
	printf '{"cpus":{"boot_vcpus":1,"max_vcpus":1},"memory":{"size":67108864},'
	printf '"payload":{"kernel":"%s","cmdline":"touch=2 interval_ms=20"},' "$build/guests/snapshot.elf"
	printf '"disks":[{"path":"%s","id":"root"}],"serial":{"mode":"File","file":"%s"}' "$dir/disk" "$dir/serial"
	for more in "$@"; do printf ',%s' "$more"; done
	printf '}'
}

# created: a VMM with a created machine; booted: with a running one.
created() {
	truncate -s 16M "$dir/disk"
	start "$@"
	expect "vm.create" "$(api PUT vm.create "$(config)")$(answer)" 204
}

booted() {
	needs_kvm
	created "$@"
	expect "vm.boot" "$(api PUT vm.boot)$(answer)" 204
	wait_for 10 test "$(ticks)" -ge 0 || fail "the guest says nothing"
	wait_for 10 ticking || fail "the guest does not count"
}

# How often the guest has counted.
ticks() {
	grep -c '^TICK' "$dir/serial" 2>/dev/null || true
}

ticking() {
	local before
	before=$(ticks)
	sleep 0.15
	[ "$(ticks)" -gt "$before" ]
}

state() {
	[ "$(api GET vm.info)" = 200 ] && sed -n 's/.*"state":"\([A-Za-z]*\)".*/\1/p' "$dir/answer"
}

# The process of a role or device, from the VM's own list.
pid_of() { # ROLE
	ctl ps | awk -v role="$1" '$1 == role { print ($2 ~ /^[0-9]+$/) ? $2 : $3; exit }'
}
