# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Many VMs, one after the other and at once.

case_many_starts() {
	local i
	all_devices
	for ((i = 0; i < ${BULKHEAD_STARTS:-50}; i++)); do
		vm_run -v -v --kernel "$(guest watch)" --memory size=16M "${devices[@]}" --cmdline ticks=1
		[ "$status" -eq 0 ] || fail "start $i ended with status $status: $(tail -n 1 "$T/err")"
		expect_text out '^TICK 0 blk0=ok rng0=ok console0=ok'
	done
}

case_many_at_once() {
	local i pids=() pid
	for ((i = 0; i < 8; i++)); do
		disk_make "$T/disk$i"
		timeout -k 5 "$LIMIT_S" "$bulkhead" --name "$NAME-$i" --kernel "$(guest watch)" --memory size=16M \
			--disk path="$T/disk$i" --rng src=/dev/urandom --console null --cmdline ticks=5 \
			</dev/null >"$T/out$i" 2>"$T/err$i" &
		pids+=($!)
	done
	i=0
	for pid in "${pids[@]}"; do
		wait "$pid" || fail "VM $i: status $?: $(tail -n 1 "$T/err$i")"
		expect_text "out$i" '^TICK 4 blk0=ok rng0=ok console0=ok'
		i=$((i + 1))
	done
}
