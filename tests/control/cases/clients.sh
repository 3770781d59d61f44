# SPDX-License-Identifier: Apache-2.0
# Clients as they are: curl, socat, slow ones, many, and the death of the gateway.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016  # dir and build are those of run; wait_for evaluates its words

case_curl_sends_chunks_and_waits_for_100_continue() {
	start
	expect "create" "$(config | curl -s -o "$dir/answer" -w '%{http_code}' --max-time 10 --unix-socket "$dir/api" -X PUT \
		-H 'Transfer-Encoding: chunked' -H 'Expect: 100-continue' --expect100-timeout 5 --data-binary @- -v \
		http://localhost/api/v1/vm.create 2>"$dir/trace")" 204
	grep -q '< HTTP/1.1 100 Continue' "$dir/trace" || fail "no 100 Continue"
}

case_a_body_that_is_too_long_is_refused_to_curl() {
	start
	head -c 60000 /dev/zero | tr '\0' ' ' >"$dir/body"
	expect "status" "$(curl -s -o "$dir/answer" -w '%{http_code}' --max-time 10 --unix-socket "$dir/api" -X PUT \
		--data-binary "@$dir/body" http://localhost/api/v1/vm.create)" 413
	expect "ping" "$(api GET vmm.ping)" 200
}

case_requests_of_every_wrong_kind_have_their_answer() {
	local body
	start
	expect "wrong type" "$(api PUT vm.create '{"payload":{"kernel":7}}')" 400
	contains "wrong type" "$(answer)" 'payload.kernel: must be a string'
	expect "missing field" "$(api PUT vm.create '{"payload":{}}')" 400
	expect "unknown field" "$(api PUT vm.create '{"payload":{"kernel":"/k"},"what":1}')" 400
	expect "duplicate key" "$(api PUT vm.create '{"payload":{"kernel":"/k"},"payload":{"kernel":"/k"}}')" 400
	expect "not UTF-8" "$(api PUT vm.create "$(printf '{"payload":{"kernel":"\xff"}}')")" 400
	body=$(printf '[%.0s' $(seq 500))
	expect "deep nesting" "$(api PUT vm.create "{\"payload\":$body")" 400
	contains "deep nesting" "$(answer)" 'levels of nesting'
	expect "no body" "$(api PUT vm.create)" 400
	expect "a body too many" "$(api PUT vm.boot '{}')" 400
	expect "no such path" "$(api PUT vm.fly)" 404
	expect "no such method" "$(api DELETE vm.info)" 405
	expect "later" "$(api PUT vm.add-net '{}')" 501
	expect "no file URL" "$(api PUT vm.snapshot '{"destination_url":"http://x"}')" 400
}

case_socat_speaks_qmp() {
	needs_kvm
	booted --qmp "unix:$dir/qmp,server=on,wait=off"
	{
		printf '{"execute":"qmp_capabilities"}\r\n{"execute":"query-status","id":1}\r\n{"execute":"stop","id":2}\r\n'
		sleep 0.3
		printf '{"execute":"query-status","id":3}\r\n{"execute":"cont","id":4}\r\n{"execute":"quit","id":5}\r\n'
		sleep 0.5
	} | timeout 10 socat - "UNIX-CONNECT:$dir/qmp" >"$dir/qmp.out"
	tr -d '\r' <"$dir/qmp.out" | sed 's/"timestamp":{[^}]*},//' >"$dir/qmp.lines"
	sed -n 1p "$dir/qmp.lines" | grep -q '^{"QMP":' || fail "no greeting: $(cat "$dir/qmp.out")"
	expect "exchange" "$(sed 1d "$dir/qmp.lines")" '{"return":{}}
{"return":{"status":"running","running":true,"singlestep":false},"id":1}
{"event":"STOP"}
{"return":{},"id":2}
{"return":{"status":"paused","running":false,"singlestep":false},"id":3}
{"event":"RESUME"}
{"return":{},"id":4}
{"return":{},"id":5}
{"event":"SHUTDOWN","data":{"guest":false,"reason":"host-qmp-quit"}}'
	wait_for 3 ended || fail "quit did not end the VMM"
	expect "exit status" "$(cat "$dir/status")" 0
}

case_qmp_without_negotiation_takes_a_snapshot() {
	booted --qmp "unix:$dir/qmp,server=on,wait=off,negotiate=off"
	{
		echo '{"execute":"stop"}'
		echo "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"file:$dir/snap\"}}"
		sleep 1.5
		echo '{"execute":"query-migrate"}'
		echo '{"execute":"cont"}'
		sleep 0.3
	} | timeout 10 socat - "UNIX-CONNECT:$dir/qmp" >"$dir/qmp.out"
	contains "query-migrate" "$(cat "$dir/qmp.out")" '{"return":{"status":"completed"'
	contains "events" "$(cat "$dir/qmp.out")" '"event":"MIGRATION","data":{"status":"completed"}'
	[ -f "$dir/snap/manifest.pb" ] || fail "no snapshot"
	wait_for 5 ticking || fail "the guest does not go on"
}

case_a_slow_client_is_told_that_its_time_is_over() {
	local began=$SECONDS
	start
	{
		printf 'GET /api/v1/vmm.ping HTTP/1.1\r\nX-Slow: '
		for _ in $(seq 30); do
			printf a
			sleep 0.5
		done
	} | timeout 20 socat -t 1 - "UNIX-CONNECT:$dir/api" >"$dir/slow.out" 2>/dev/null
	contains "answer" "$(cat "$dir/slow.out")" "408 Request Timeout"
	[ $((SECONDS - began)) -lt 17 ] || fail "it took $((SECONDS - began)) s"
	expect "ping" "$(api GET vmm.ping)" 200
}

# libvirt's driver looks at the version first.
case_a_link_of_that_name_answers_as_cloud_hypervisor() {
	ln -s "$build/bin/bulkhead" "$dir/cloud-hypervisor"
	contains "version" "$("$dir/cloud-hypervisor" --version)" "cloud-hypervisor v"
	contains "version" "$("$build/bin/bulkhead" --version)" "bulkhead v"
}

case_many_clients_that_say_nothing_keep_nobody_out_for_long() {
	local clients=() i
	start
	for i in $(seq 60); do
		socat -u PTY,link="$dir/pty$i",raw "UNIX-CONNECT:$dir/api" 2>/dev/null &
		clients+=($!)
	done
	sleep 0.5
	expect "ping" "$(api GET vmm.ping)" 200
	kill "${clients[@]}"
	wait "${clients[@]}" 2>/dev/null
	expect "ping" "$(api GET vmm.ping)" 200
}

case_sixty_four_curls_at_once() {
	local i
	start
	for i in $(seq 64); do
		curl -s -o "$dir/many.$i" -w '%{http_code}\n' --max-time 20 --unix-socket "$dir/api" \
			http://localhost/api/v1/vmm.ping >"$dir/code.$i" &
	done
	wait_for 20 eval '[ "$(cat "$dir"/code.* | grep -c 200)" = 64 ]' || fail "$(sort "$dir"/code.* | uniq -c)"
}

# Boot, and meanwhile ask: not a matter of time, the answers come before that of the operation.
boots_and_answers() { # STATUS
	local answers=0 name
	curl -s -o "$dir/boot-answer" -w '%{http_code}' --max-time 20 --unix-socket "$dir/api" -X PUT \
		http://localhost/api/v1/vm.boot >"$dir/booted" &
	while [ ! -s "$dir/booted" ]; do
		for name in vmm.ping vm.info vm.counters; do
			expect "$name" "$(api GET "$name")" 200
			[ -s "$dir/booted" ] || answers=$((answers + 1))
		done
	done
	expect "boot" "$(cat "$dir/booted")" "$1"
	[ "$answers" -ge 4 ] || fail "$answers answers meanwhile"
}

case_other_clients_are_answered_while_a_machine_starts() {
	needs_kvm
	truncate -s 16M "$dir/disk"
	start
	expect "create" "$(api PUT vm.create "$(config |
		sed 's/"cpus":{[^}]*}/"cpus":{"boot_vcpus":8,"max_vcpus":8}/
		     s/"memory":{[^}]*}/"memory":{"size":1073741824,"prefault":true}/')")$(answer)" 204
	boots_and_answers 204
}

case_other_clients_are_answered_while_a_disk_is_waited_for() {
	needs_kvm
	created
	"$build/bin/bulkhead" --kernel "$build/guests/first.elf" --disk path="$dir/disk" --serial file="$dir/other" \
		--console off </dev/null >"$dir/other-log" 2>&1 &
	local other=$!
	wait_for 10 test -s "$dir/other" || fail "the other machine does not start: $(cat "$dir/other-log")"
	(boots_and_answers 500)
	local status=$?
	kill -TERM "$other"
	wait "$other"
	[ "$status" = 0 ] || exit "$status"
	contains "answer" "$(cat "$dir/boot-answer")" "$dir/disk is in use by another VM"
	expect "boot when it is free" "$(api PUT vm.boot)$(answer)" 204
}

case_a_killed_gateway_is_followed_by_another_and_the_guest_goes_on() {
	local gateway next i
	booted --event-monitor "path=$dir/events"
	for i in 1 2 3; do
		gateway=$(pid_of gateway)
		kill -KILL "$gateway" || fail "no gateway"
		wait_for 5 ctl ping || fail "no answer after the gateway was killed"
		next=$(pid_of gateway)
		[ "$next" != "$gateway" ] || fail "the same gateway"
	done
	ticking || fail "the guest was disturbed"
	grep -q '"source":"gateway","event":"died"' "$dir/events" || fail "no event"
	expect "state" "$(state)" Running
}

case_a_gateway_that_is_killed_during_a_request_leaves_the_operation_whole() {
	booted
	ctl pause || fail "pause"
	(ctl snapshot "$dir/snap" >"$dir/snapshot.out" 2>&1; echo $? >"$dir/snapshot.status") &
	sleep 0.02
	kill -KILL "$(pid_of gateway)" 2>/dev/null
	wait_for 10 test -s "$dir/snapshot.status" || fail "bulkheadctl hangs"
	wait_for 10 test -f "$dir/snap/manifest.pb" || fail "the snapshot was not finished"
	wait_for 5 ctl resume || fail "resume"
	wait_for 5 ticking || fail "the guest does not go on"
}

case_metrics_are_read_with_curl_and_nothing_is_written() {
	booted --metrics-socket "$dir/metrics"
	curl -s --max-time 5 --unix-socket "$dir/metrics" http://localhost/metrics >"$dir/metrics.out"
	grep -q '^bulkhead_blk_read_bytes{device="root"} [0-9]*$' "$dir/metrics.out" || fail "$(cat "$dir/metrics.out")"
	expect "another path" "$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 --unix-socket "$dir/metrics" -X PUT \
		http://localhost/api/v1/vmm.shutdown)" 404
}

case_events_go_to_a_fifo_that_is_read_later() {
	needs_kvm
	mkfifo "$dir/events"
	created --event-monitor "path=$dir/events"
	timeout 20 cat "$dir/events" >"$dir/events.out" &
	expect "boot" "$(api PUT vm.boot)$(answer)" 204
	expect "pause" "$(api PUT vm.pause)" 204
	expect "resume" "$(api PUT vm.resume)" 204
	expect "end" "$(api PUT vmm.shutdown)" 204
	wait_for 5 ended || fail "the VMM does not end"
	wait $! 2>/dev/null
	expect "events" "$(sed -n 's/.*"source":"\(vmm*\)","event":"\([a-z]*\)".*/\1.\2/p' "$dir/events.out" | tr '\n' ' ')" \
		"vmm.starting vm.booting vm.booted vm.pausing vm.paused vm.resuming vm.resumed vm.shutdown vmm.shutdown "
}

case_the_service_manager_is_told() {
	command -v socat >/dev/null || skip "no socat"
	socat -u "UNIX-RECVFROM:$dir/notify,fork" "OPEN:$dir/notified,creat,append" &
	local listener=$!
	wait_for 5 test -S "$dir/notify" || fail "no notify socket"
	NOTIFY_SOCKET=$dir/notify start
	wait_for 5 grep -q READY=1 "$dir/notified" || fail "not ready"
	api PUT vmm.shutdown >/dev/null
	wait_for 5 grep -q STOPPING=1 "$dir/notified" || fail "not stopping"
	kill $listener
}
