# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What /proc says of a running VM's processes.

namespaces='user pid mnt ipc uts net cgroup'

field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; } # PID NAME

expect_field() { # PID NAME VALUE
	[ "$(field "$1" "$2")" = "$3" ] || fail "$(field "$1" Name) ($1): $2 is $(field "$1" "$2"), not $3"
}

# The first of the four ids; all four are the same one.
id_of() { # PID Uid|Gid
	local ids
	read -ra ids <<<"$(field "$1" "$2")"
	[ "${ids[*]}" = "${ids[0]} ${ids[0]} ${ids[0]} ${ids[0]}" ] || fail "process $1: $2 ${ids[*]}"
	echo "${ids[0]}"
}

expect_locked_thread() { # /proc/… of a thread
	local name
	for name in CapInh CapPrm CapEff CapAmb; do
		grep -q "^$name:.0000000000000000$" "$1/status" || fail "$1: $(grep $name "$1/status")"
	done
	grep -q '^NoNewPrivs:.1$' "$1/status" || fail "$1 may gain privileges"
	grep -q '^Seccomp:.2$' "$1/status" || fail "$1 has no filter"
}

expect_locked() { # PID: every thread of it
	local task
	for task in /proc/"$1"/task/*; do
		expect_locked_thread "$task"
	done
}

watch_with_all_devices() {
	all_devices
	watch_start "${devices[@]}" --cpus boot=2
	workers="$(worker_pid disk0) $(worker_pid rng) $(worker_pid console)"
	[ "$(wc -w <<<"$workers")" -eq 3 ] || fail "there are not three workers: $workers"
}

case_sandbox_of_workers() {
	local worker other
	watch_with_all_devices
	for worker in $workers; do
		expect_locked "$worker"
		expect_field "$worker" CapBnd 0000000000000000
		expect_field "$worker" Groups ''
		grep -q '^Max core file size *0 *0' "/proc/$worker/limits" || fail "worker $worker may dump core"
		[ -z "$(children "$worker" | tr -d ' \n')" ] || fail "worker $worker has children"
	done
	vm_quit
}

case_sandbox_of_the_core() {
	watch_with_all_devices
	expect_locked "$core"
	[ "$(ls "/proc/$core/task" | wc -l)" -ge 3 ] || fail "where are the vCPU threads?"
	grep -qx vcpu0 /proc/"$core"/task/*/comm || fail "no thread is called vcpu0"
	grep -qx vcpu1 /proc/"$core"/task/*/comm || fail "no thread is called vcpu1"
	vm_quit
}

case_sandbox_ids_differ() {
	local pid seen='' id
	[ "$(id -u)" = 0 ] || skip "an ordinary user has one id for all"
	watch_with_all_devices
	for pid in "$core" $workers; do
		id=$(id_of "$pid" Uid)
		[ "$id" -ne 0 ] || fail "process $pid is root"
		[ "$(id_of "$pid" Gid)" -ne 0 ] || fail "process $pid has root's group"
		[[ " $seen " != *" $id "* ]] || fail "two processes have the uid $id"
		seen+=" $id"
	done
	vm_quit
}

case_sandbox_namespaces_differ() {
	local pid name seen='' here
	[ "$(id -u)" = 0 ] || skip "namespaces of other users' processes are not shown"
	watch_with_all_devices
	for pid in $workers; do
		for name in $namespaces; do
			here=$(readlink "/proc/$pid/ns/$name")
			[ -n "$here" ] || fail "cannot read /proc/$pid/ns/$name"
			[ "$here" != "$(readlink "/proc/self/ns/$name")" ] || fail "process $pid shares the $name namespace"
			[[ " $seen " != *" $here "* ]] || fail "two workers share the $name namespace"
			seen+=" $here"
		done
	done
	vm_quit
}

# Nothing but what it needs: one socket, memory, eventfds, its own backing file.
case_sandbox_fds_of_workers() {
	local worker fd target sockets
	[ "$(id -u)" = 0 ] || skip "fds of other users' processes are not shown"
	watch_with_all_devices
	for worker in $workers; do
		sockets=0
		for fd in /proc/"$worker"/fd/*; do
			target=$(readlink "$fd")
			case $target in
			pipe:*) [ "${fd##*/}" = 2 ] || fail "worker $worker has a pipe at $fd" ;;
			/dev/null | 'anon_inode:[event'* | 'anon_inode:[io_uring]' | 'anon_inode:[timerfd]' | /memfd:*) ;;
			"$T/disk") [ "$worker" = "$(worker_pid disk0)" ] || fail "another worker has the disk" ;;
			socket:*) sockets=$((sockets + 1)) ;;
			*) fail "worker $worker has $fd: $target" ;;
			esac
		done
		[ $sockets -eq 1 ] || fail "worker $worker has $sockets sockets"
	done
	vm_quit
}

case_sandbox_root_of_workers_is_empty() {
	local worker
	[ "$(id -u)" = 0 ] || skip "roots of other users' processes are not shown"
	watch_with_all_devices
	for worker in $workers; do
		[ -z "$(ls -A "/proc/$worker/root/")" ] || fail "worker $worker sees $(ls -A "/proc/$worker/root/" | head -n 3)"
		[ "$(wc -l <"/proc/$worker/mounts")" -le 1 ] || fail "worker $worker has mounts: $(cat "/proc/$worker/mounts")"
	done
	vm_quit
}

# The core opens nothing by path: it has no directory and no file but the kernel and its standard streams.
case_sandbox_fds_of_the_core() {
	local fd target
	[ "$(id -u)" = 0 ] || skip "fds of other users' processes are not shown"
	watch_with_all_devices
	for fd in /proc/"$core"/fd/*; do
		target=$(readlink "$fd")
		case $target in
		"$(guest watch)" | "$T/in" | "$T/out" | "$T/err" | /dev/kvm | /dev/null | anon_inode:* | socket:* | pipe:* | /memfd:*) ;;
		*) fail "the core has $fd: $target" ;;
		esac
	done
	vm_quit
}

case_sandbox_of_two_vms() {
	local first second pid other
	[ "$(id -u)" = 0 ] || skip "an ordinary user has one id for all"
	watch_with_all_devices
	first="$core $workers"
	first_core=$core first_input=$input
	mv "$T/out" "$T/out1"
	disk_make "$T/disk2"
	NAME+=-2
	watch_start --disk path="$T/disk2" --rng src=/dev/urandom
	second="$core $(worker_pid disk0) $(worker_pid rng)"
	for pid in $first; do
		for other in $second; do
			[ "$(id_of "$pid" Uid)" != "$(id_of "$other" Uid)" ] || fail "processes $pid and $other share a uid"
		done
	done
	vm_quit
	NAME=${NAME%-2}
	core=$first_core input=$first_input
	vm_quit
}
