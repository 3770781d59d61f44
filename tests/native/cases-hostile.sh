# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Guests that program the machine at random. The guest checks at its end that every device works again.

hostile_case() { # SEED MODE OPS
	disk_make "$T/disk"
	vm_run --kernel "$(guest hostile)" --memory size=48M --cpus boot=1 --disk path="$T/disk" --rng src=/dev/urandom \
		--console null --cmdline "seed=$1 mode=$2 ops=$3 wait_us=5000"
	expect_guest_passed
	expect_text out 'HOSTILE DONE'
	expect_no_text err 'sandbox violation|worker lost|was ended by signal'
}
case_hostile_registers_1() { hostile_case 101 registers 800; }
case_hostile_registers_2() { hostile_case 102 registers 800; }
case_hostile_registers_3() { hostile_case 103 registers 800; }
case_hostile_registers_4() { hostile_case 104 registers 800; }
case_hostile_rings_1() { hostile_case 201 rings 60; }
case_hostile_rings_2() { hostile_case 202 rings 60; }
case_hostile_rings_3() { hostile_case 203 rings 60; }

# May also sleep, reset, triple fault: how it ends is its own affair, but it ends or is ended.
case_hostile_with_resets() {
	local seed
	disk_make "$T/disk"
	for seed in 1 2 3; do
		LIMIT_S=20
		timeout -s TERM -k 10 3 "$bulkhead" --name "$NAME" --kernel "$(guest hostile)" --memory size=48M \
			--disk path="$T/disk" --rng src=/dev/urandom \
			--cmdline "seed=$seed ops=2000 allow_reset=1 recover=0" </dev/null >"$T/out" 2>"$T/err"
		status=$?
		case $status in
		0 | 4 | 124) ;;
		*) fail "seed $seed: status $status: $(tail -n 1 "$T/err")" ;;
		esac
		expect_no_text err 'sandbox violation|was ended by signal'
	done
}
