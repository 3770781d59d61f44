/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"
#include "vmm/broker/uid_slot.h"

struct fixture {
	char folder[64];
	char lock[96];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	scratch_folder_make("uid", fixture->folder, sizeof(fixture->folder));
	(void)snprintf(fixture->lock, sizeof(fixture->lock), "%s/run/lock", fixture->folder);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char run[96];

	(void)snprintf(run, sizeof(run), "%s/run", fixture->folder);
	(void)unlink(fixture->lock);
	(void)rmdir(run);
	(void)rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static void two_vms_get_different_slots(void **state)
{
	const struct fixture *fixture = *state;
	struct uid_slot first = UID_SLOT_INIT, second = UID_SLOT_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(uid_slot_claim(&first, fixture->lock, 100000, 640, &err), 0);
	assert_int_equal(uid_slot_claim(&second, fixture->lock, 100000, 640, &err), 0);
	assert_int_not_equal(first.base, second.base);
	assert_in_range(first.base, 100000, 100000 + 640 - UID_SLOT_IDS);
	assert_int_equal((first.base - 100000) % UID_SLOT_IDS, 0);
	uid_slot_release(&first);
	uid_slot_release(&second);
}

static void a_released_slot_can_be_claimed_again(void **state)
{
	const struct fixture *fixture = *state;
	struct uid_slot first = UID_SLOT_INIT, second = UID_SLOT_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(uid_slot_claim(&first, fixture->lock, 100000, UID_SLOT_IDS, &err), 0);
	assert_int_equal(uid_slot_claim(&second, fixture->lock, 100000, UID_SLOT_IDS, &err),
			 -EBUSY);
	uid_slot_release(&first);
	assert_int_equal(uid_slot_claim(&second, fixture->lock, 100000, UID_SLOT_IDS, &err), 0);
	uid_slot_release(&second);
}

static void overlapping_ranges_exclude_each_other(void **state)
{
	const struct fixture *fixture = *state;
	struct uid_slot first = UID_SLOT_INIT, second = UID_SLOT_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(uid_slot_claim(&first, fixture->lock, 100000, UID_SLOT_IDS, &err), 0);
	assert_int_equal(uid_slot_claim(&second, fixture->lock, 100001, UID_SLOT_IDS, &err),
			 -EBUSY);
	uid_slot_release(&first);
}

static void ids_of_workers_are_not_the_cores_and_not_reused_early(void **state)
{
	const struct fixture *fixture = *state;
	struct uid_slot slot = UID_SLOT_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(uid_slot_claim(&slot, fixture->lock, 100000, UID_SLOT_IDS, &err), 0);
	for (uint32_t i = 1; i < UID_SLOT_IDS; i++)
		assert_int_equal(uid_slot_next(&slot), slot.base + i);
	assert_int_equal(uid_slot_next(&slot), slot.base + 1);
	uid_slot_release(&slot);
}

static void the_lock_file_is_private(void **state)
{
	const struct fixture *fixture = *state;
	struct uid_slot slot = UID_SLOT_INIT;
	struct error err = ERROR_INIT;
	struct stat status;

	assert_int_equal(uid_slot_claim(&slot, fixture->lock, 100000, 64, &err), 0);
	assert_int_equal(stat(fixture->lock, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	uid_slot_release(&slot);
}

static void ranges_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"100000",
		"100000:",
		"0:64",
		"1:63",
		"-1:64",
		"1:-64",
		"4294967232:64",
		"4294967295:64",
		"1:4294967295",
		"a:b",
		"1:64x",
		"99999999999999999999:64",
	};
	struct error err = ERROR_INIT;
	uint32_t base, count;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(uid_range_parse(bad[i], &base, &count, &err) < 0);
	assert_int_equal(uid_range_parse("4294967231:64", &base, &count, &err), 0);
	assert_int_equal(base, 4294967231U);
	assert_int_equal(count, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_vms_get_different_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(a_released_slot_can_be_claimed_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(overlapping_ranges_exclude_each_other, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			ids_of_workers_are_not_the_cores_and_not_reused_early, setup, teardown),
		cmocka_unit_test_setup_teardown(the_lock_file_is_private, setup, teardown),
		cmocka_unit_test(ranges_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
