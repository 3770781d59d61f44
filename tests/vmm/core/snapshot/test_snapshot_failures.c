/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A failure at every step of the coordinator: the VM is paused and whole afterwards, goes on when
 * it is resumed, the directory is gone or as it was, and the error names the culprit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/workers/worker_device.h"

static int setup_guest(void **state, const char *cmdline)
{
	static struct vm_under_test test;

	*state = NULL;
	if (!vm_under_test_possible())
		return 0;
	vm_under_test_init(&test);
	vm_under_test_boot(&test, "snapshot", cmdline, 1);
	assert_true(vm_under_test_wait_text(&test, "TICK", 1));
	assert_int_equal(vm_under_test_pause(&test), 0);
	*state = &test;
	return 0;
}

static int setup(void **state)
{
	return setup_guest(state, "touch=4 interval_ms=20");
}

/*
 * Paused between two ticks: the guest waits for no disk. It gives up a request after five seconds
 * by a clock that does not stand still with the machine.
 */
static int setup_idle(void **state)
{
	return setup_guest(state, "touch=4 interval_ms=400");
}

static int teardown(void **state)
{
	if (*state)
		vm_under_test_destroy(*state);
	return 0;
}

static struct vm_under_test *required(void **state)
{
	if (!*state) {
		skip();
		abort(); /* never reached */
	}
	return *state;
}

static void assert_names(struct vm_under_test *test, const char *culprit)
{
	if (!strstr(test->result.message, culprit))
		fail_msg("\"%s\" does not name %s", test->result.message, culprit);
}

static void assert_goes_on(struct vm_under_test *test)
{
	unsigned ticks = vm_under_test_count_text(test, "TICK");

	assert_int_equal(vm_state(test->vm), VM_PAUSED);
	if (vm_under_test_resume(test) != 0)
		fail_msg("%s", test->result.message);
	assert_true(vm_under_test_wait_text(test, "TICK", ticks + 2));
	vm_under_test_assert_good(test);
	assert_true(vm_under_test_ticks_in_order(test));
}

/* Nothing was lost but the snapshot; another one can be taken. */
static void assert_whole(struct vm_under_test *test, const char *path)
{
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(test->devices_failed, 0);
	assert_goes_on(test);
	assert_int_equal(vm_under_test_pause(test), 0);
	if (vm_under_test_snapshot(test, path) != 0)
		fail_msg("the next snapshot: %s", test->result.message);
}

/* ---- cancelled ---- */

static void cancel_in(struct vm_under_test *test, enum snapshot_phase phase)
{
	struct error err = ERROR_INIT;
	struct snapshot_status status;
	char path[128];

	vm_under_test_path(test, "cancelled", path, sizeof(path));
	assert_int_equal(vm_under_test_begin_snapshot(test, path), 0);
	if (!vm_under_test_run_to_phase(test, phase))
		fail_msg("never in phase %s", snapshot_phase_name(phase));
	assert_int_equal(vm_snapshot_cancel(test->vm, &err), 0);
	assert_int_equal(vm_under_test_wait(test), -ECANCELED);
	vm_snapshot_status(test->vm, &status);
	assert_int_equal(status.phase, SNAPSHOT_CANCELLED);
	assert_int_equal(vm_snapshot_cancel(test->vm, &err), -ENOENT);
	assert_whole(test, path);
}

static void a_snapshot_is_cancelled_before_it_begins(void **state)
{
	cancel_in(required(state), SNAPSHOT_SETUP);
}

static void a_snapshot_is_cancelled_while_workers_drain(void **state)
{
	cancel_in(required(state), SNAPSHOT_QUIESCE);
}

static void a_snapshot_is_cancelled_while_blobs_are_collected(void **state)
{
	cancel_in(required(state), SNAPSHOT_COLLECT);
}

static void a_snapshot_is_cancelled_while_memory_is_written(void **state)
{
	cancel_in(required(state), SNAPSHOT_MEMORY);
}

static void a_cancel_that_comes_too_late_leaves_a_whole_snapshot(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;
	char path[128];

	vm_under_test_path(test, "late", path, sizeof(path));
	assert_int_equal(vm_under_test_begin_snapshot(test, path), 0);
	assert_true(vm_under_test_run_to_phase(test, SNAPSHOT_COMMIT));
	assert_int_equal(vm_snapshot_cancel(test->vm, &err), 0);
	assert_int_equal(vm_under_test_wait(test), 0);
	vm_under_test_end_vm(test);
	assert_int_equal(vm_under_test_restore(test, path, false), 0);
	assert_goes_on(test);
}

/* ---- shut down in the middle ---- */

static void shut_down_in(struct vm_under_test *test, enum snapshot_phase phase)
{
	char path[128];

	vm_under_test_path(test, "interrupted", path, sizeof(path));
	assert_int_equal(vm_under_test_begin_snapshot(test, path), 0);
	assert_true(vm_under_test_run_to_phase(test, phase));
	vm_under_test_end_vm(test); /* fails if the VM does not end */
	assert_true(test->ended);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_vm_ends_while_workers_drain(void **state)
{
	shut_down_in(required(state), SNAPSHOT_QUIESCE);
}

static void a_vm_ends_while_memory_is_written(void **state)
{
	shut_down_in(required(state), SNAPSHOT_MEMORY);
}

/* ---- workers ---- */

/* The device is lost, as it would be without a snapshot; the rest of the VM goes on. */
static void kill_worker_in(struct vm_under_test *test, enum snapshot_phase phase)
{
	char path[128];
	unsigned ticks;

	vm_under_test_path(test, "killed", path, sizeof(path));
	assert_int_equal(vm_under_test_begin_snapshot(test, path), 0);
	assert_true(vm_under_test_run_to_phase(test, phase));
	assert_int_equal(kill(vm_under_test_worker_pid(test, "rng"), SIGKILL), 0);
	while (test->devices_failed == 0 && !test->done)
		vm_under_test_run_ms(test, 5);
	assert_true(vm_under_test_wait(test) < 0);
	assert_names(test, "\"rng\"");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(vm_state(test->vm), VM_PAUSED);
	ticks = vm_under_test_count_text(test, "TICK");
	assert_int_equal(vm_under_test_resume(test), 0);
	assert_true(vm_under_test_wait_text(test, "TICK", ticks + 2));
	vm_under_test_assert_good(test);
	/* Without its worker the device has no state to save. */
	assert_int_equal(vm_under_test_pause(test), 0);
	assert_true(vm_under_test_snapshot(test, path) < 0);
	assert_names(test, "\"rng\"");
}

static void a_worker_is_killed_before_the_snapshot_begins(void **state)
{
	kill_worker_in(required(state), SNAPSHOT_SETUP);
}

static void a_worker_is_killed_while_it_drains(void **state)
{
	kill_worker_in(required(state), SNAPSHOT_QUIESCE);
}

static void a_worker_is_killed_before_it_hands_over_its_state(void **state)
{
	kill_worker_in(required(state), SNAPSHOT_COLLECT);
}

/*
 * Stopped at `phase`, continued once the snapshot has failed: the worker is not lost. False: it had
 * answered before it was stopped.
 */
static bool stop_worker_in(struct vm_under_test *test, enum snapshot_phase phase, const char *path)
{
	int pid;

	assert_int_equal(vm_under_test_begin_snapshot(test, path), 0);
	assert_true(vm_under_test_run_to_phase(test, phase));
	pid = vm_under_test_worker_pid(test, "root");
	assert_int_equal(kill(pid, SIGSTOP), 0);
	(void)vm_under_test_run_to_phase(test, SNAPSHOT_RESUME);
	assert_int_equal(kill(pid, SIGCONT), 0);
	if (vm_under_test_wait(test) == 0)
		return false;
	assert_int_equal(test->result.code, -ETIMEDOUT);
	assert_names(test, "\"root\"");
	assert_whole(test, path);
	return true;
}

/* It does not even answer that it shall go on: later it does, and nothing was lost. */
static void a_worker_that_stays_stopped_is_not_given_up(void **state)
{
	struct vm_under_test *test = required(state);
	char path[128];
	int pid = vm_under_test_worker_pid(test, "root");

	vm_under_test_path(test, "stays", path, sizeof(path));
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_true(vm_under_test_snapshot(test, path) < 0);
	assert_int_equal(test->result.code, -ETIMEDOUT);
	assert_names(test, "\"root\"");
	assert_int_equal(access(path, F_OK), -1);
	/* As long as a worker that is well would have had. */
	vm_under_test_run_ms(test, WORKER_RESUME_TIMEOUT_MS + 1000);
	assert_int_equal(test->devices_failed, 0);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_whole(test, path);
}

static void be_late_in(struct vm_under_test *test, enum snapshot_phase phase)
{
	for (unsigned i = 0; i < 20; i++) {
		char name[32], path[128];

		(void)snprintf(name, sizeof(name), "stopped-%u", i);
		vm_under_test_path(test, name, path, sizeof(path));
		if (stop_worker_in(test, phase, path))
			return;
	}
	fail_msg("the worker is never late");
}

static void a_worker_is_late_with_draining(void **state)
{
	be_late_in(required(state), SNAPSHOT_SETUP);
}

static void a_worker_is_late_with_its_state(void **state)
{
	be_late_in(required(state), SNAPSHOT_COLLECT);
}

/* ---- directories ---- */

static void a_directory_that_is_not_empty_is_left_alone(void **state)
{
	struct vm_under_test *test = required(state);
	char path[128], file[160];

	vm_under_test_path(test, "full", path, sizeof(path));
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(file, sizeof(file), "%s/letter", path);
	assert_int_equal(fclose(fopen(file, "we")), 0);
	assert_int_equal(vm_under_test_snapshot(test, path), -ENOTEMPTY);
	assert_names(test, "letter");
	assert_names(test, path);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(path), 0);
	assert_whole(test, path);
}

static void an_empty_directory_that_was_there_stays_after_a_failure(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;
	char path[128];

	vm_under_test_path(test, "empty", path, sizeof(path));
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(vm_under_test_begin_snapshot(test, path), 0);
	assert_true(vm_under_test_run_to_phase(test, SNAPSHOT_MEMORY));
	assert_int_equal(vm_snapshot_cancel(test->vm, &err), 0);
	assert_int_equal(vm_under_test_wait(test), -ECANCELED);
	assert_int_equal(rmdir(path), 0); /* there, and empty */
	assert_whole(test, path);
}

static void a_missing_parent_is_named(void **state)
{
	struct vm_under_test *test = required(state);
	char path[128];

	vm_under_test_path(test, "no/such", path, sizeof(path));
	assert_int_equal(vm_under_test_snapshot(test, path), -ENOENT);
	assert_names(test, path);
	assert_whole(test, vm_under_test_path(test, "next", path, sizeof(path)));
}

static void a_file_in_the_place_of_the_directory_is_left_alone(void **state)
{
	struct vm_under_test *test = required(state);
	char path[128];

	assert_int_equal(vm_under_test_snapshot(test, test->serial), -ENOTDIR);
	assert_names(test, test->serial);
	assert_int_equal(access(test->serial, F_OK), 0);
	assert_whole(test, vm_under_test_path(test, "next", path, sizeof(path)));
}

/* Mount a tmpfs on FOLDER/disk-NAME; false: not allowed, skipped with a reason. */
static bool mount_small(const char *path, const char *options, unsigned long flags)
{
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("tmpfs", path, "tmpfs", flags, options) == 0)
		return true;
	printf("skip: cannot mount a tmpfs: %s\n", strerror(errno));
	assert_int_equal(rmdir(path), 0);
	return false;
}

static void unmount(const char *path)
{
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	assert_int_equal(rmdir(path), 0);
}

static void a_full_disk_is_named(void **state)
{
	struct vm_under_test *test = required(state);
	static const char *const sizes[] = {"size=64k", "size=1m", "size=4m", "nr_inodes=4",
					    "nr_inodes=8"};
	char mountpoint[128], path[160];

	vm_under_test_path(test, "small", mountpoint, sizeof(mountpoint));
	(void)snprintf(path, sizeof(path), "%s/snapshot", mountpoint);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int result, left;

		if (!mount_small(mountpoint, sizes[i], 0))
			skip();
		result = vm_under_test_snapshot(test, path);
		left = access(path, F_OK);
		unmount(mountpoint);
		assert_int_equal(result, -ENOSPC);
		assert_int_equal(left, -1);
		assert_names(test, path);
		assert_goes_on(test);
		assert_int_equal(vm_under_test_pause(test), 0);
	}
	assert_whole(test, vm_under_test_path(test, "next", path, sizeof(path)));
}

static void a_directory_that_cannot_be_written_is_named(void **state)
{
	struct vm_under_test *test = required(state);
	char mountpoint[128], path[160];
	int result;

	vm_under_test_path(test, "readonly", mountpoint, sizeof(mountpoint));
	(void)snprintf(path, sizeof(path), "%s/snapshot", mountpoint);
	if (!mount_small(mountpoint, "", MS_RDONLY))
		skip();
	result = vm_under_test_snapshot(test, path);
	unmount(mountpoint);
	assert_int_equal(result, -EROFS);
	assert_names(test, path);
	assert_whole(test, vm_under_test_path(test, "next", path, sizeof(path)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_snapshot_is_cancelled_before_it_begins),
		TEST(a_snapshot_is_cancelled_while_workers_drain),
		TEST(a_snapshot_is_cancelled_while_blobs_are_collected),
		TEST(a_snapshot_is_cancelled_while_memory_is_written),
		TEST(a_cancel_that_comes_too_late_leaves_a_whole_snapshot),
		TEST(a_vm_ends_while_workers_drain),
		TEST(a_vm_ends_while_memory_is_written),
		TEST(a_worker_is_killed_before_the_snapshot_begins),
		TEST(a_worker_is_killed_while_it_drains),
		TEST(a_worker_is_killed_before_it_hands_over_its_state),
		cmocka_unit_test_setup_teardown(a_worker_that_stays_stopped_is_not_given_up,
						setup_idle, teardown),
		cmocka_unit_test_setup_teardown(a_worker_is_late_with_draining, setup_idle,
						teardown),
		cmocka_unit_test_setup_teardown(a_worker_is_late_with_its_state, setup_idle,
						teardown),
		TEST(a_directory_that_is_not_empty_is_left_alone),
		TEST(an_empty_directory_that_was_there_stays_after_a_failure),
		TEST(a_missing_parent_is_named),
		TEST(a_file_in_the_place_of_the_directory_is_left_alone),
		TEST(a_full_disk_is_named),
		TEST(a_directory_that_cannot_be_written_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
