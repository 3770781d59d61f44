/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshot, restore, snapshot again: a guest that checks itself under disk load goes on through all
 * of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"

#define CHAIN_ROUNDS_DEFAULT 200
/* Every tick looks at all of the memory that is touched, and writes and reads the disk. */
#define CHAIN_GUEST "touch=1 dirty=256 stride=128 interval_ms=10"

static void require_machine(void)
{
	if (!vm_under_test_possible())
		skip();
}

static void check(struct vm_under_test *test, int result)
{
	if (result != 0)
		fail_msg("%s", test->result.message);
}

static void snapshot_round(struct vm_under_test *test, unsigned round, bool on_demand)
{
	char name[32], path[128];
	unsigned ticks;

	(void)snprintf(name, sizeof(name), "snapshot-%u", round);
	vm_under_test_path(test, name, path, sizeof(path));
	check(test, vm_under_test_pause(test));
	check(test, vm_under_test_snapshot(test, path));
	vm_under_test_end_vm(test);
	check(test, vm_under_test_restore(test, path, on_demand));
	ticks = vm_under_test_count_text(test, "TICK");
	check(test, vm_under_test_resume(test));
	assert_true(vm_under_test_wait_text(test, "TICK", ticks + 1));
	vm_under_test_assert_good(test);
	assert_true(vm_under_test_ticks_in_order(test));
	/* Nobody needs the one before it any more, and all of them would fill a small disk. */
	if (round > 0) {
		(void)snprintf(name, sizeof(name), "snapshot-%u", round - 1);
		scratch_folder_remove(vm_under_test_path(test, name, path, sizeof(path)));
	}
}

static void chain(bool on_demand)
{
	const char *rounds = getenv("BULKHEAD_SNAPSHOT_ROUNDS");
	unsigned count = rounds ? (unsigned)strtoul(rounds, NULL, 10) : CHAIN_ROUNDS_DEFAULT;
	struct vm_under_test test;

	require_machine();
	vm_under_test_init(&test);
	vm_under_test_boot(&test, "snapshot", CHAIN_GUEST, 1);
	assert_true(vm_under_test_wait_text(&test, "TICK", 1));
	for (unsigned round = 0; round < count; round++)
		snapshot_round(&test, round, on_demand);
	vm_under_test_destroy(&test);
}

static void a_guest_goes_on_through_a_chain_of_snapshots(void **state)
{
	(void)state;
	chain(false);
}

static void a_guest_goes_on_through_a_chain_on_demand(void **state)
{
	(void)state;
	if (access("/dev/userfaultfd", R_OK | W_OK) != 0) {
		printf("skip: no access to /dev/userfaultfd\n");
		skip();
	}
	chain(true);
}

static void a_vm_goes_on_after_its_snapshot(void **state)
{
	struct vm_under_test test;
	char path[128];
	unsigned ticks;

	(void)state;
	require_machine();
	vm_under_test_init(&test);
	vm_under_test_boot(&test, "snapshot", "touch=4", 2);
	assert_true(vm_under_test_wait_text(&test, "TICK", 1));
	check(&test, vm_under_test_pause(&test));
	check(&test,
	      vm_under_test_snapshot(&test, vm_under_test_path(&test, "a", path, sizeof(path))));
	check(&test,
	      vm_under_test_snapshot(&test, vm_under_test_path(&test, "b", path, sizeof(path))));
	ticks = vm_under_test_count_text(&test, "TICK");
	check(&test, vm_under_test_resume(&test));
	assert_true(vm_under_test_wait_text(&test, "TICK", ticks + 2));
	vm_under_test_assert_good(&test);
	vm_under_test_destroy(&test);
}

static void a_running_vm_is_not_snapshot(void **state)
{
	struct vm_under_test test;
	char path[128];

	(void)state;
	require_machine();
	vm_under_test_init(&test);
	vm_under_test_boot(&test, "snapshot", "touch=1", 1);
	assert_int_equal(
		vm_under_test_snapshot(&test, vm_under_test_path(&test, "a", path, sizeof(path))),
		-EINVAL);
	assert_non_null(strstr(test.result.message, "pause it first"));
	assert_int_equal(access(path, F_OK), -1);
	vm_under_test_destroy(&test);
}

static void a_restored_vm_that_never_ran_is_snapshot_again(void **state)
{
	struct vm_under_test test;
	char path[128];
	unsigned ticks;

	(void)state;
	require_machine();
	vm_under_test_init(&test);
	vm_under_test_boot(&test, "snapshot", "touch=1", 1);
	assert_true(vm_under_test_wait_text(&test, "TICK", 1));
	check(&test, vm_under_test_pause(&test));
	check(&test,
	      vm_under_test_snapshot(&test, vm_under_test_path(&test, "a", path, sizeof(path))));
	vm_under_test_end_vm(&test);
	check(&test, vm_under_test_restore(&test, path, false));
	check(&test,
	      vm_under_test_snapshot(&test, vm_under_test_path(&test, "b", path, sizeof(path))));
	vm_under_test_end_vm(&test);
	check(&test, vm_under_test_restore(&test, path, false));
	ticks = vm_under_test_count_text(&test, "TICK");
	check(&test, vm_under_test_resume(&test));
	assert_true(vm_under_test_wait_text(&test, "TICK", ticks + 1));
	vm_under_test_destroy(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_running_vm_is_not_snapshot),
		cmocka_unit_test(a_vm_goes_on_after_its_snapshot),
		cmocka_unit_test(a_restored_vm_that_never_ran_is_snapshot_again),
		cmocka_unit_test(a_guest_goes_on_through_a_chain_of_snapshots),
		cmocka_unit_test(a_guest_goes_on_through_a_chain_on_demand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
