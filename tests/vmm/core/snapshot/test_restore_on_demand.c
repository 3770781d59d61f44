/* SPDX-License-Identifier: Apache-2.0 */
/* Whole VMs whose memory comes page by page: a guest that checks itself under disk load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/pager_client.h"

#define ROUNDS	     4
#define PAGER_DEATHS 4

static void check(struct vm_under_test *test, int result)
{
	if (result != 0)
		fail_msg("%s", test->result.message);
}

/* A snapshot of a guest that has run; the VM is gone. */
static void make_snapshot_of(struct vm_under_test *test,
			     const struct vm_under_test_machine *machine, char *path, size_t bytes)
{
	if (!vm_under_test_possible() || access("/dev/userfaultfd", R_OK | W_OK) != 0) {
		print_message("skip: no KVM for test guests, or no /dev/userfaultfd\n");
		skip();
	}
	vm_under_test_init(test);
	check(test, vm_under_test_boot_machine(test, machine));
	assert_true(vm_under_test_wait_text(test, "TICK", 1));
	check(test, vm_under_test_pause(test));
	check(test, vm_under_test_snapshot(test, vm_under_test_path(test, "first", path, bytes)));
	vm_under_test_end_vm(test);
}

static void make_snapshot(struct vm_under_test *test, char *path, size_t bytes)
{
	const struct vm_under_test_machine machine = {.guest = "snapshot", .cmdline = "touch=8"};

	make_snapshot_of(test, &machine, path, bytes);
}

static void restore_and_resume(struct vm_under_test *test, const char *path)
{
	check(test, vm_under_test_restore(test, path, true));
	assert_non_null(test->vm->pager);
	check(test, vm_under_test_resume(test));
}

static void assert_goes_on(struct vm_under_test *test, unsigned ticks)
{
	unsigned now = vm_under_test_count_text(test, "TICK");

	assert_true(vm_under_test_wait_text(test, "TICK", now + ticks));
	vm_under_test_assert_good(test);
	assert_int_equal(test->devices_failed, 0);
}

static void a_guest_goes_on_through_restores_on_demand(void **state)
{
	struct vm_under_test test;
	char path[128], name[32];

	(void)state;
	make_snapshot(&test, path, sizeof(path));
	for (unsigned round = 0; round < ROUNDS; round++) {
		restore_and_resume(&test, path);
		assert_goes_on(&test, 1);
		(void)snprintf(name, sizeof(name), "round-%u", round);
		check(&test, vm_under_test_pause(&test));
		/* Reads in what is missing first. */
		check(&test, vm_under_test_snapshot(
				     &test, vm_under_test_path(&test, name, path, sizeof(path))));
		assert_null(test.vm->pager);
		vm_under_test_end_vm(&test);
	}
	restore_and_resume(&test, path);
	assert_goes_on(&test, 1);
	vm_under_test_destroy(&test);
}

static void a_vm_whose_memory_is_prefaulted_is_restored_on_demand(void **state)
{
	const struct vm_under_test_machine machine = {
		.guest = "snapshot", .cmdline = "touch=8", .prefault = true, .thp = true};
	struct vm_under_test test;
	char path[128];

	(void)state;
	make_snapshot_of(&test, &machine, path, sizeof(path));
	/* Everything is read in the background at once: the pager may be gone already. */
	check(&test, vm_under_test_restore(&test, path, true));
	check(&test, vm_under_test_resume(&test));
	assert_goes_on(&test, 2);
	vm_under_test_destroy(&test);
}

static void a_guest_does_not_notice_that_its_pager_dies(void **state)
{
	struct vm_under_test test;
	char path[128];

	(void)state;
	make_snapshot(&test, path, sizeof(path));
	restore_and_resume(&test, path);
	for (unsigned death = 0; death < PAGER_DEATHS; death++) {
		int32_t pid = pager_client_pid(test.vm->pager);

		if (pid > 0)
			assert_int_equal(kill(pid, SIGKILL), 0);
		vm_under_test_run_ms(&test, 60);
	}
	assert_goes_on(&test, 2);
	vm_under_test_destroy(&test);
}

/* One that dies again and again is given up: nothing waits for it, and what it had not read is
 * lost. */
static void a_pager_that_is_given_up_is_named(void **state)
{
	struct vm_under_test test;
	char path[128], other[128];

	(void)state;
	make_snapshot(&test, path, sizeof(path));
	check(&test, vm_under_test_restore(&test, path, true));
	for (unsigned i = 0; i < 400 && !test.devices_failed; i++) {
		int32_t pid = pager_client_pid(test.vm->pager);

		if (pid > 0)
			(void)kill(pid, SIGKILL);
		vm_under_test_run_ms(&test, 20);
	}
	assert_int_equal(test.devices_failed, 1);
	assert_true(vm_under_test_snapshot(
			    &test, vm_under_test_path(&test, "late", other, sizeof(other))) < 0);
	assert_non_null(strstr(test.result.message, "pager"));
	assert_int_equal(access(other, F_OK), -1);
	assert_true(vm_under_test_resume(&test) < 0);
	assert_non_null(strstr(test.result.message, "the pager is gone"));
	vm_under_test_end_vm(&test);
	restore_and_resume(&test, path);
	test.devices_failed = 0;
	assert_goes_on(&test, 1);
	vm_under_test_destroy(&test);
}

/* It is asked now and then whether it lives; what the guest waits for comes from the next one. */
static void a_pager_that_hangs_is_replaced(void **state)
{
	struct vm_under_test test;
	char path[128];
	int32_t pid;

	(void)state;
	make_snapshot(&test, path, sizeof(path));
	check(&test, vm_under_test_restore(&test, path, true));
	pid = pager_client_pid(test.vm->pager);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	check(&test, vm_under_test_resume(&test));
	assert_goes_on(&test, 3);
	assert_non_null(test.vm->pager);
	assert_int_not_equal(pager_client_pid(test.vm->pager), pid);
	for (unsigned waited = 0; kill(pid, 0) == 0 && waited < 5000; waited += 20)
		vm_under_test_run_ms(&test, 20);
	assert_int_equal(kill(pid, 0), -1);
	vm_under_test_destroy(&test);
}

/* Every byte that the guest can touch is wrong from here on. */
static void damage_all(const char *path)
{
	char name[192];
	cleanup_fd int fd = -1;
	const uint8_t wrong = 0xa5;
	off_t at = 0;

	(void)snprintf(name, sizeof(name), "%s/memory-region-0", path);
	fd = open(name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		assert_int_equal(pwrite(fd, &wrong, 1, at + 77), 1);
		at += 4096;
	}
}

static void assert_ends(struct vm_under_test *test, unsigned ticks)
{
	for (unsigned i = 0; i < 200 && !test->ended; i++)
		vm_under_test_run_ms(test, 50);
	assert_true(test->ended);
	assert_int_equal(test->why, VM_END_FAILURE);
	assert_int_equal(vm_under_test_count_text(test, "TICK"), ticks);
	vm_under_test_assert_good(test);
}

static void a_restore_ends_before_it_takes_a_wrong_byte(void **state)
{
	struct vm_under_test test;
	char path[128];
	unsigned ticks;

	(void)state;
	make_snapshot(&test, path, sizeof(path));
	damage_all(path);
	ticks = vm_under_test_count_text(&test, "TICK");
	if (vm_under_test_restore(&test, path, true) == 0)
		(void)vm_under_test_resume(&test);
	assert_ends(&test, ticks);
	vm_under_test_destroy(&test);
}

static void a_guest_is_ended_before_it_sees_a_wrong_byte(void **state)
{
	struct vm_under_test test;
	char path[128];
	unsigned ticks;

	(void)state;
	make_snapshot(&test, path, sizeof(path));
	check(&test, vm_under_test_restore(&test, path, true));
	damage_all(path); /* what restoring had no need of */
	ticks = vm_under_test_count_text(&test, "TICK");
	(void)vm_under_test_resume(&test);
	assert_ends(&test, ticks);
	vm_under_test_destroy(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_goes_on_through_restores_on_demand),
		cmocka_unit_test(a_vm_whose_memory_is_prefaulted_is_restored_on_demand),
		cmocka_unit_test(a_guest_does_not_notice_that_its_pager_dies),
		cmocka_unit_test(a_pager_that_is_given_up_is_named),
		cmocka_unit_test(a_pager_that_hangs_is_replaced),
		cmocka_unit_test(a_restore_ends_before_it_takes_a_wrong_byte),
		cmocka_unit_test(a_guest_is_ended_before_it_sees_a_wrong_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
