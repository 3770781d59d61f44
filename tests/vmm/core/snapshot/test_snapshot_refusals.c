/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker that does not play along (tests/snapshot/stubborn stands in for rng): the snapshot fails
 * with its name, nothing is lost, and the next one works once it behaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/control/vm_parts.h"

static const char *const programs[][2] = {
	{"bulkhead-blk", "bulkhead-blk"},
	{"bulkhead-console", "bulkhead-console"},
	{"bulkhead-stubborn", "bulkhead-rng"},
};

struct stubborn_test {
	struct vm_under_test vm;
	char folder[64];
};

static void fill_worker_folder(const char *folder)
{
	const char *build = getenv("BULKHEAD_BUILD");

	for (unsigned i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		char name[256], program[PATH_MAX];

		(void)snprintf(name, sizeof(name), "%s/bin/%s", build ? build : "build",
			       programs[i][0]);
		assert_non_null(realpath(name, program));
		(void)snprintf(name, sizeof(name), "%s/%s", folder, programs[i][1]);
		assert_int_equal(symlink(program, name), 0);
	}
}

static int setup(void **state)
{
	static struct stubborn_test test;

	*state = NULL;
	if (!vm_under_test_possible())
		return 0;
	scratch_folder_make("workers", test.folder, sizeof(test.folder));
	fill_worker_folder(test.folder);
	vm_under_test_init_workers(&test.vm, test.folder);
	vm_under_test_boot(&test.vm, "snapshot", "touch=1 interval_ms=20", 1);
	assert_true(vm_under_test_wait_text(&test.vm, "TICK", 1));
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct stubborn_test *test = *state;

	if (!test)
		return 0;
	vm_under_test_destroy(&test->vm);
	scratch_folder_remove(test->folder);
	return 0;
}

static struct stubborn_test *required(void **state)
{
	if (!*state) {
		skip();
		abort(); /* never reached */
	}
	return *state;
}

static void on_updated(void *opaque, struct worker_device *device, const struct error *err)
{
	(void)device;
	if (err)
		fail_msg("%s", err->message);
	*(bool *)opaque = true;
}

static void tell(struct vm_under_test *vm, char command)
{
	struct error err = ERROR_INIT;
	bool updated = false;
	uint8_t byte = (uint8_t)command;

	for (unsigned i = 0; i < vm->vm->device_count; i++)
		if (strcmp(worker_device_id(vm->vm->devices[i]), "rng") == 0)
			assert_int_equal(worker_device_update(vm->vm->devices[i], &byte, 1, NULL, 0,
							      on_updated, &updated, &err),
					 0);
	for (unsigned waited = 0; !updated && waited < 5000; waited += 5)
		vm_under_test_run_ms(vm, 5);
	assert_true(updated);
}

static void assert_ticks(struct vm_under_test *vm)
{
	unsigned ticks = vm_under_test_count_text(vm, "TICK");

	assert_int_equal(vm_under_test_resume(vm), 0);
	assert_true(vm_under_test_wait_text(vm, "TICK", ticks + 2));
	vm_under_test_assert_good(vm);
}

static void refuse(struct stubborn_test *test, char command, int expected, const char *text)
{
	struct vm_under_test *vm = &test->vm;
	char path[128];

	tell(vm, command);
	assert_int_equal(vm_under_test_pause(vm), 0);
	vm_under_test_path(vm, "snapshot", path, sizeof(path));
	assert_int_equal(vm_under_test_snapshot(vm, path), expected);
	if (!strstr(vm->result.message, "rng") || !strstr(vm->result.message, text))
		fail_msg("\"%s\"", vm->result.message);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(vm->devices_failed, 0);
	assert_int_equal(vm_state(vm->vm), VM_PAUSED);
	assert_ticks(vm);
	tell(vm, 'o');
	assert_int_equal(vm_under_test_pause(vm), 0);
	assert_int_equal(vm_under_test_snapshot(vm, path), 0);
	vm_under_test_end_vm(vm);
	if (vm_under_test_restore(vm, path, false) != 0)
		fail_msg("%s", vm->result.message);
	assert_ticks(vm);
}

static void a_worker_refuses_to_drain(void **state)
{
	refuse(required(state), 'q', -EIO, "told to refuse");
}

static void a_worker_never_finishes_draining(void **state)
{
	refuse(required(state), 'n', -ETIMEDOUT, "rng");
}

static void a_worker_refuses_to_hand_over_its_state(void **state)
{
	refuse(required(state), 's', -EIO, "told to keep it");
}

static void a_worker_hands_over_more_than_a_file_may_hold(void **state)
{
	refuse(required(state), 'l', -EFBIG, "devices/rng.pb");
}

static void a_worker_hands_over_more_than_any_worker_may(void **state)
{
	refuse(required(state), 'h', -EINVAL, "17825");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_worker_refuses_to_drain),
		TEST(a_worker_never_finishes_draining),
		TEST(a_worker_refuses_to_hand_over_its_state),
		TEST(a_worker_hands_over_more_than_a_file_may_hold),
		TEST(a_worker_hands_over_more_than_any_worker_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
