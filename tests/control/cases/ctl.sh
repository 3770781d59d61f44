# SPDX-License-Identifier: Apache-2.0
# bulkheadctl with a real machine behind it.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016  # dir and build are those of run; wait_for evaluates its words

case_ctl_leads_a_machine_through_its_life() {
	needs_kvm
	truncate -s 16M "$dir/disk"
	start
	config | ctl create - || fail "create"
	contains "info" "$(ctl info)" "state      Created"
	ctl boot || fail "boot"
	contains "info" "$(ctl info)" "0000:00:01.0"
	contains "counters" "$(ctl counters)" "root.read_bytes"
	ctl pause || fail "pause"
	ctl snapshot "$dir/snap" || fail "snapshot"
	contains "progress" "$(ctl snapshot-progress)" "completed"
	for verb in resume reboot; do ctl $verb || fail $verb; done
	for verb in shutdown boot delete; do ctl $verb || fail $verb; done
	ctl shutdown-vmm || fail "shutdown-vmm"
	wait_for 3 ended || fail "still there"
}

case_ctl_ps_shows_every_process_with_its_sandbox() {
	local list
	booted
	list=$(ctl ps)
	for role in core broker gateway blk rng; do
		contains "ps" "$list" "$(printf '\n%s ' $role)"
	done
	expect "workers that are filtered" "$(grep -c -E '^(gateway|blk|rng) .* filter,nnp,7ns,0caps ' <<<"$list")" 3
	ctl --json ps >"$dir/ps.json"
	grep -q '"pss_kib": [0-9]' "$dir/ps.json" || fail "$(cat "$dir/ps.json")"
}

case_ctl_follows_events() {
	booted
	ctl events >"$dir/followed" &
	sleep 0.3
	for verb in pause resume shutdown-vmm; do ctl $verb || fail $verb; done
	wait $! || fail "events ended with status $?"
	contains "events" "$(cat "$dir/followed")" "vm paused"
	contains "events" "$(cat "$dir/followed")" "vmm shutdown"
}

# Only the gateway has died, not the VMM: the next one is followed.
case_ctl_follows_events_past_the_gateways_death() {
	booted
	ctl events >"$dir/events" &
	local follower=$!
	wait_for 5 eval "ctl pause; ctl resume; grep -q 'vm paused' '$dir/events'" || fail "no events"
	kill -KILL "$(pid_of gateway)" || fail "no gateway"
	wait_for 5 ctl ping || fail "no answer"
	: >"$dir/events"
	wait_for 5 eval "ctl pause; ctl resume; grep -q 'vm resumed' '$dir/events'" || fail "no events after the gateway's death"
	ctl shutdown-vmm || fail "shutdown-vmm"
	wait "$follower" || fail "events: status $?"
	wait_for 5 ended || fail "the VMM is still there"
}

case_ctl_draws_a_bar_on_a_terminal() {
	command -v script >/dev/null || skip "no script(1)"
	booted
	ctl pause || fail "pause"
	script -qec "'$build/bin/bulkheadctl' -s '$dir/api' snapshot '$dir/snap'" /dev/null >"$dir/tty" 2>&1 || fail "$(cat "$dir/tty")"
	grep -q '\[####.*\] 100%' "$dir/tty" || fail "no bar: $(cat "$dir/tty")"
}

case_ctl_exit_statuses_tell_failures_apart() {
	local status=0
	start
	ctl fly 2>/dev/null || status=$?
	expect "an unknown verb" $status 2
	echo '{}' | ctl create - 2>/dev/null || status=$?
	expect "an invalid configuration" $status 2
	ctl pause 2>/dev/null || status=$?
	expect "no VM" $status 4
	"$build/bin/bulkheadctl" -s "$dir/nobody" ping 2>/dev/null || status=$?
	expect "no VMM" $status 3
	ctl ping >/dev/full 2>/dev/null || status=$?
}

case_ctl_nmi_reaches_the_guest() {
	booted
	ctl nmi || fail "nmi"
	# The guest has no handler for it: it says so and powers off, which ends the process.
	wait_for 10 grep -q EXCEPTION "$dir/serial" || fail "the guest got none"
	wait_for 10 ended || fail "the guest's power-off does not end the process"
}
