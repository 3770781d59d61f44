/* SPDX-License-Identifier: Apache-2.0 */
/* Restores that end in the middle: what is still at work, or still answers, finds nothing freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/restore_parts.h"

static struct vm_under_test test;
static char snapshot_path[128];
static bool possible;

static int set_up(void **state)
{
	(void)state;
	possible = vm_under_test_possible();
	if (possible)
		vm_under_test_init_saved(&test, snapshot_path, sizeof(snapshot_path));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (possible)
		vm_under_test_destroy(&test);
	return 0;
}

static void require_machine(void)
{
	if (!possible)
		skip();
}

/* Memory is being read, or is about to be, when it turns out that there is no program for the disk.
 */
static void a_worker_that_cannot_be_started_fails_the_restore(void **state)
{
	const char *build = getenv("BULKHEAD_BUILD");
	static const char *const programs[] = {"bulkhead-rng", "bulkhead-console"};
	static struct vm_under_test other;
	char workers[64];

	(void)state;
	require_machine();
	scratch_folder_make("workers", workers, sizeof(workers));
	for (unsigned i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		char from[PATH_MAX], to[256], name[256];

		(void)snprintf(name, sizeof(name), "%s/bin/%s", build ? build : "build",
			       programs[i]);
		assert_non_null(realpath(name, from));
		(void)snprintf(to, sizeof(to), "%s/%s", workers, programs[i]);
		assert_int_equal(symlink(from, to), 0);
	}
	vm_under_test_init_workers(&other, workers);
	assert_true(vm_under_test_restore(&other, snapshot_path, false) < 0);
	assert_non_null(strstr(other.result.message, "bulkhead-blk is not installed"));
	vm_under_test_destroy(&other);
	scratch_folder_remove(workers);
}

/* Restored devices are being activated, one of them is slow, and the VM ends: then it answers. */
static void a_vm_that_ends_while_its_devices_are_activated_is_gone(void **state)
{
	struct error why = ERROR_INIT, err = ERROR_INIT;
	struct restore_options options = {.on_demand = false};
	struct snapshot_reader *reader;
	int pid;

	(void)state;
	require_machine();
	reader = snapshot_reader_open(test.broker, snapshot_path, &err);
	assert_non_null(reader);
	vm_under_test_make_vm(&test, reader->config);
	reader->config = NULL;
	assert_int_equal(vm_restore(test.vm, reader, &options, NULL, NULL, &err), 0);
	/* One turn of the loop at a time: registers are put back on a thread, so that activation
	 * begins some turns after all workers were ready. */
	while (!test.ended && test.vm->restore && !test.vm->restore->devices_ready)
		uv_run(&test.loop, UV_RUN_ONCE);
	assert_non_null(test.vm->restore);
	pid = vm_under_test_worker_pid(&test, "rng");
	assert_int_equal(kill(pid, SIGSTOP), 0);
	while (!test.ended && test.vm->restore && !test.vm->restore->waiting)
		uv_run(&test.loop, UV_RUN_ONCE);
	assert_non_null(test.vm->restore);
	assert_true(test.vm->restore->waiting > 0);
	error_set(&why, -EINTR, "end of test");
	assert_int_equal(vm_shutdown(test.vm, VM_END_POWER_OFF, &why), 0);
	assert_int_equal(kill(pid, SIGCONT), 0);
	for (unsigned i = 0; i < 2000 && !test.ended; i++)
		vm_under_test_run_ms(&test, 5);
	assert_true(test.ended);
	vm_under_test_end_vm(&test);
	assert_int_equal(vm_under_test_restore(&test, snapshot_path, false), 0);
	assert_int_equal(vm_under_test_resume(&test), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_worker_that_cannot_be_started_fails_the_restore,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_vm_that_ends_while_its_devices_are_activated_is_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
