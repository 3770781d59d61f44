# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The command line: what is refused, and how it is said. Nothing is started for any of these.

expect_usage() { # REGEX OPTIONS…
	local regex=$1
	shift
	timeout 20 "$bulkhead" "$@" </dev/null >"$T/out" 2>"$T/err"
	status=$?
	[ $status -eq 2 ] || fail "status $status for: $*"
	grep -Eq -- "$regex" "$T/err" || fail "$*: no \"$regex\": $(cat "$T/err")"
	[ "$(wc -l <"$T/err")" -eq 1 ] || fail "$*: not one line"
}

case_command_line_errors() {
	expect_usage 'nothing to do: give --kernel.*--help'
	expect_usage '--nonsense.*--help' --nonsense
	expect_usage '--kernel.*value is missing' --kernel
	expect_usage 'unexpected argument "stray"' --kernel x stray
	expect_usage '--kernel is given twice' --kernel x --kernel y
	expect_usage '--cpus.*boot=17.*16' --kernel x --cpus boot=17
	expect_usage '--cpus.*max=1.*less.*boot=2' --kernel x --cpus boot=2,max=1
	expect_usage '--cpus.*many' --kernel x --cpus many=1
	expect_usage '--cpus.*boot=-1' --kernel x --cpus boot=-1
	expect_usage '--memory.*16M' --kernel x --memory size=1M
	expect_usage '--memory.*multiple of 2M' --kernel x --memory size=33000000
	expect_usage '--memory.*size=big' --kernel x --memory size=big
	expect_usage '--memory.*hugepages=maybe.*on' --kernel x --memory size=64M,hugepages=maybe
	expect_usage '--memory.*hugepages.*file' --kernel x --memory size=64M,hugepages=on,file=/tmp/x
	expect_usage '--disk.*path= is missing' --kernel x --disk readonly=on
	expect_usage '--disk.*pathh' --kernel x --disk pathh=a
	expect_usage '--disk.*num_queues=17.*16' --kernel x --disk path=a,num_queues=17
	expect_usage '--disk.*queue_size=100.*power of two' --kernel x --disk path=a,queue_size=100
	expect_usage '--disk.*id=a/b' --kernel x --disk path=a,id=a/b
	expect_usage '--disk.*id=same.*used by another' --kernel x --disk path=a,id=same path=b,id=same
	expect_usage '--disk.*serial=.*20' --kernel x --disk path=a,serial=123456789012345678901
	expect_usage '--serial.*pipe.*off, null, tty' --kernel x --serial pipe
	expect_usage '--serial.*file=.*path' --kernel x --serial file=
	expect_usage 'only one of them can have the terminal' --kernel x --serial tty --console tty
	expect_usage '--seccomp maybe.*true, log or false' --kernel x --seccomp maybe
	expect_usage '--log-format xml.*text or json' --kernel x --log-format xml
	expect_usage '--name.*id=a b' --kernel x --name 'a b'
	expect_usage '--allow-missing-sandbox: .*nosuchstage' --kernel "$(guest smoke)" --allow-missing-sandbox nosuchstage
	expect_usage '--uid-range 12: .*BASE:COUNT' --kernel "$(guest smoke)" --uid-range 12
}

case_command_line_help() {
	local option
	timeout 20 "$bulkhead" --help >"$T/out" 2>"$T/err" || fail "status $?"
	for option in kernel initramfs cmdline cpus memory disk rng console serial seccomp log-file log-format name; do
		expect_text out "^ +(-[a-z], )?--$option="
	done
	expect_text out 'Exit status: 0 .*'
	[ ! -s "$T/err" ] || fail "something on standard error"
}

case_command_line_version() {
	timeout 20 "$bulkhead" --version >"$T/out" 2>"$T/err" || fail "status $?"
	expect_text out '^bulkhead v[0-9]+\.[0-9]+\.[0-9]+$'
}

case_log_verbose() {
	vm_run -v -v --kernel "$(guest watch)" --memory size=16M --rng src=/dev/urandom --cmdline ticks=1
	expect_status 0
	expect_text err "^[0-9T:.Z-]+ $NAME core info: VM: running, was booting"
	expect_text err "^[0-9T:.Z-]+ $NAME core debug: device \"rng\""
}

case_log_file() {
	echo before >"$T/log"
	vm_run -v --log-file "$T/log" --kernel "$(guest watch)" --memory size=16M --cmdline ticks=1
	expect_status 0
	[ ! -s "$T/err" ] || fail "something on standard error: $(head -n 1 "$T/err")"
	[ "$(head -n 1 "$T/log")" = before ] || fail "the file was not appended to"
	expect_text log 'core info: VM: shut down'
}

case_log_json() {
	disk_make "$T/disk"
	vm_run -v -v --log-format json --kernel "$(guest hostile)" --memory size=48M --disk path="$T/disk" \
		--rng src=/dev/urandom --cmdline "seed=7 mode=rings ops=12 wait_us=5000"
	expect_status 0
	"$helper" json time level vm process text <"$T/err" || fail "a line is not a JSON object with these fields"
	expect_text err '"process":"rng".*"device":"rng"|"process":"core"'
}

case_seccomp_log() {
	vm_run --seccomp log --kernel "$(guest watch)" --memory size=16M --rng src=/dev/urandom --cmdline ticks=2
	expect_status 0
	expect_text out 'rng0=ok'
}

case_seccomp_false() {
	watch_start --seccomp false --rng src=/dev/urandom
	expect_ticks 1 'rng0=ok'
	grep -q '^Seccomp:.0' "/proc/$(worker_pid rng)/status" || fail "the worker has a filter"
	expect_text err 'seccomp'
	vm_quit
}
