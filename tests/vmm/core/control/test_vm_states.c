/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on a whole VM at the wrong moment, and its end at every moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"

#define WAIT_MS 30000U

/* ---- a VM that nobody has booted yet ---- */

struct outcome {
	unsigned done, ended, gone;
	struct error done_error, end_text;
	enum vm_end why;
};

static struct outcome outcome;

static void on_state_changed(void *opaque, struct vm *vm, enum vm_state from, enum vm_state to)
{
	(void)opaque;
	(void)vm;
	(void)from;
	(void)to;
}

static void on_ended(void *opaque, struct vm *vm, enum vm_end why, const struct error *text)
{
	(void)opaque;
	(void)vm;
	outcome.ended++;
	outcome.why = why;
	outcome.end_text = *text;
}

static void on_device_failed(void *opaque, struct vm *vm, const char *id, const struct error *err)
{
	(void)opaque;
	(void)vm;
	(void)id;
	(void)err;
}

static void on_terminal(void *opaque, struct vm *vm, const char *id, const char *path)
{
	(void)opaque;
	(void)vm;
	(void)id;
	(void)path;
}

static const struct vm_events events = {
	.state_changed = on_state_changed,
	.ended = on_ended,
	.device_failed = on_device_failed,
	.terminal = on_terminal,
};

static void on_done(void *opaque, struct vm *vm, const struct error *err)
{
	(void)opaque;
	(void)vm;
	outcome.done++;
	outcome.done_error = err ? *err : (struct error)ERROR_INIT;
}

static void on_gone(void *opaque)
{
	(void)opaque;
	outcome.gone++;
}

static void wait_for(struct vm_under_test *test, const unsigned *count)
{
	for (unsigned waited = 0; !*count; waited += 5) {
		if (waited > WAIT_MS)
			fail_msg("it did not come in time");
		vm_under_test_run_ms(test, 5);
	}
}

static void set_string(char **target, const char *text)
{
	assert_int_equal(option_set_string(target, text, strlen(text)), 0);
}

/* rng and console: two workers, and the broker is asked for a file between them. */
static Bulkhead__Config__Vm *make_config(struct vm_under_test *test)
{
	const char *build = getenv("BULKHEAD_BUILD");
	Bulkhead__Config__Vm *config = vm_config_new();
	struct error err = ERROR_INIT;
	char path[256];

	assert_non_null(config);
	(void)vm_config_rng(config);
	vm_config_console(config)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	set_string(&config->console->path, vm_under_test_path(test, "console", path, sizeof(path)));
	config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	set_string(&config->serial->path, test->serial);
	(void)snprintf(path, sizeof(path), "%s/guests/snapshot.elf", build ? build : "build");
	set_string(&config->payload->kernel, path);
	set_string(&config->payload->cmdline, "touch=4 interval_ms=20");
	config->memory->size_bytes = 64ULL << 20;
	if (vm_config_complete(config, &err) < 0)
		fail_msg("%s", err.message);
	return config;
}

static struct vm *make_vm(struct vm_under_test *test)
{
	struct error err = ERROR_INIT;
	struct vm_options options = {
		.loop = &test->loop,
		.broker = test->broker,
		.config = make_config(test),
		.events = &events,
		.opaque = test,
		.log_fd = STDERR_FILENO,
		.seccomp = SANDBOX_SECCOMP_OFF,
	};
	struct vm *vm = vm_new(&options, &err);

	if (!vm)
		fail_msg("%s", err.message);
	memset(&outcome, 0, sizeof(outcome));
	return vm;
}

static int power_off(struct vm *vm)
{
	struct error why = ERROR_INIT;

	error_set(&why, -EINTR, "end of test");
	return vm_shutdown(vm, VM_END_POWER_OFF, &why);
}

static void destroy_vm(struct vm_under_test *test, struct vm *vm)
{
	vm_destroy(vm, on_gone, test);
	wait_for(test, &outcome.gone);
}

static unsigned count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static int setup(void **state)
{
	static struct vm_under_test test;

	*state = NULL;
	if (!vm_under_test_possible())
		return 0;
	vm_under_test_init(&test);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	if (*state)
		vm_under_test_destroy(*state);
	return 0;
}

static struct vm_under_test *required(void **state)
{
	if (!*state)
		skip();
	return *state;
}

/* ---- start-up ---- */

static void a_vm_that_ends_while_it_starts_ends_once(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;

	for (unsigned turns = 0; turns < 24; turns++) {
		struct vm *vm = make_vm(test);

		assert_int_equal(vm_boot(vm, on_done, NULL, &err), 0);
		for (unsigned i = 0; i < turns && vm_state(vm) == VM_BOOTING; i++)
			uv_run(&test->loop, UV_RUN_ONCE);
		assert_int_equal(power_off(vm), 0);
		assert_int_equal(power_off(vm), 0);
		wait_for(test, &outcome.ended);
		assert_int_equal(outcome.done, 1);
		assert_int_equal(outcome.why, VM_END_POWER_OFF);
		assert_int_equal(power_off(vm), -EINVAL);
		destroy_vm(test, vm);
		/* Answers of the broker that were still on their way. */
		vm_under_test_run_ms(test, turns % 4 == 0 ? 30 : 1);
		assert_int_equal(outcome.ended, 1);
		assert_int_equal(outcome.done, 1);
	}
}

static void link_program(const struct vm_under_test *test, const char *name)
{
	const char *build = getenv("BULKHEAD_BUILD");
	char from[PATH_MAX + 64], to[256], folder[PATH_MAX];

	assert_non_null(realpath(build ? build : "build", folder));
	(void)snprintf(from, sizeof(from), "%s/bin/%s", folder, name);
	(void)snprintf(to, sizeof(to), "%s/%s", test->folder, name);
	assert_int_equal(symlink(from, to), 0);
}

static void a_worker_that_cannot_be_started_while_others_are_asked_for_fails_the_boot(void **state)
{
	struct vm_under_test *test = required(state);
	struct vm_under_test other;
	struct error err = ERROR_INIT;
	struct vm *vm;

	/* No bulkhead-rng: the broker says so while it is asked for the console's file. */
	link_program(test, "bulkhead-console");
	vm_under_test_init_workers(&other, test->folder);
	vm = make_vm(&other);
	assert_int_equal(vm_boot(vm, on_done, NULL, &err), 0);
	wait_for(&other, &outcome.ended);
	assert_int_equal(outcome.why, VM_END_FAILURE);
	assert_int_equal(outcome.done, 1);
	assert_int_equal(outcome.done_error.code, -ENODEV);
	assert_non_null(strstr(outcome.done_error.message, "bulkhead-rng is not installed"));
	vm_under_test_run_ms(&other, 50);
	assert_int_equal(vm_state(vm), VM_SHUTDOWN);
	assert_int_equal(outcome.ended, 1);
	destroy_vm(&other, vm);
	vm_under_test_destroy(&other);
}

static void a_vm_starts_again_and_again_and_leaves_no_descriptor(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;
	struct vm *vm = make_vm(test);
	unsigned fds = 0;

	for (unsigned round = 0; round < 6; round++) {
		memset(&outcome, 0, sizeof(outcome));
		assert_int_equal(vm_boot(vm, on_done, NULL, &err), 0);
		wait_for(test, &outcome.done);
		assert_int_equal(outcome.done_error.code, 0);
		assert_int_equal(power_off(vm), 0);
		wait_for(test, &outcome.ended);
		vm_under_test_run_ms(test, 20);
		if (round == 1) /* the loop has made what it keeps */
			fds = count_fds();
	}
	assert_int_equal(count_fds(), fds);
	destroy_vm(test, vm);
}

/* ---- states ---- */

static void operations_are_refused_in_the_wrong_state(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;
	struct vm *vm = make_vm(test);

	assert_int_equal(vm_pause(vm, on_done, NULL, &err), -EINVAL);
	assert_int_equal(vm_resume(vm, on_done, NULL, &err), -EINVAL);
	assert_int_equal(vm_reset(vm, on_done, NULL, &err), -EINVAL);
	assert_int_equal(vm_inject_nmi(vm, &err), -EINVAL);
	assert_int_equal(vm_power_button(vm, &err), -EINVAL);
	assert_int_equal(vm_snapshot(vm, "/nowhere", on_done, NULL, &err), -EINVAL);
	assert_int_equal(vm_snapshot_cancel(vm, &err), -ENOENT);
	assert_int_equal(power_off(vm), -EINVAL);
	assert_int_equal(outcome.done, 0);
	destroy_vm(test, vm);
}

static void one_operation_at_a_time(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;
	struct vm *vm = make_vm(test);

	assert_int_equal(vm_boot(vm, on_done, NULL, &err), 0);
	assert_int_equal(vm_boot(vm, on_done, NULL, &err), -EINVAL);
	wait_for(test, &outcome.done);
	memset(&outcome, 0, sizeof(outcome));
	assert_int_equal(vm_pause(vm, on_done, NULL, &err), 0);
	assert_int_equal(vm_pause(vm, on_done, NULL, &err), -EINVAL);
	assert_int_equal(vm_reset(vm, on_done, NULL, &err), -EINVAL);
	wait_for(test, &outcome.done);
	assert_int_equal(outcome.done_error.code, 0);
	memset(&outcome, 0, sizeof(outcome));
	assert_int_equal(vm_reset(vm, on_done, NULL, &err), 0);
	assert_int_equal(vm_reset(vm, on_done, NULL, &err), -EINVAL);
	assert_int_equal(vm_resume(vm, on_done, NULL, &err), -EINVAL);
	wait_for(test, &outcome.done);
	assert_int_equal(outcome.done_error.code, 0);
	assert_int_equal(vm_state(vm), VM_RUNNING);
	assert_int_equal(power_off(vm), 0);
	wait_for(test, &outcome.ended);
	destroy_vm(test, vm);
}

/* ---- with a guest that runs ---- */

static void boot_and_wait(struct vm_under_test *test)
{
	vm_under_test_boot(test, "snapshot", "touch=4 interval_ms=20", 2);
	assert_true(vm_under_test_wait_text(test, "TICK", 1));
}

static void a_vm_resets_again_and_again_from_running_and_from_paused(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;

	boot_and_wait(test);
	for (unsigned round = 0; round < 4; round++) {
		unsigned ticks;

		memset(&outcome, 0, sizeof(outcome));
		if (round % 2)
			assert_int_equal(vm_under_test_pause(test), 0);
		assert_int_equal(vm_reset(test->vm, on_done, NULL, &err), 0);
		wait_for(test, &outcome.done);
		assert_int_equal(outcome.done_error.code, 0);
		ticks = vm_under_test_count_text(test, "TICK");
		assert_true(vm_under_test_wait_text(test, "TICK", ticks));
	}
	assert_int_equal(test->devices_failed, 0);
}

static void a_vm_that_ends_while_it_resets_ends_once(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;

	boot_and_wait(test);
	memset(&outcome, 0, sizeof(outcome));
	assert_int_equal(vm_reset(test->vm, on_done, NULL, &err), 0);
	for (unsigned i = 0; i < 3 && vm_state(test->vm) == VM_RESETTING; i++)
		uv_run(&test->loop, UV_RUN_ONCE);
	vm_under_test_end_vm(test);
	assert_int_equal(outcome.done, 1);
}

static void workers_that_die_end_neither_a_pause_nor_a_reset_nor_a_resume(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;
	unsigned ticks;

	boot_and_wait(test);
	assert_int_equal(kill(vm_under_test_worker_pid(test, "rng"), SIGKILL), 0);
	assert_int_equal(vm_under_test_pause(test), 0);
	assert_int_equal(kill(vm_under_test_worker_pid(test, "console"), SIGKILL), 0);
	assert_int_equal(vm_under_test_resume(test), 0);
	assert_int_equal(kill(vm_under_test_worker_pid(test, "root"), SIGKILL), 0);
	memset(&outcome, 0, sizeof(outcome));
	assert_int_equal(vm_reset(test->vm, on_done, NULL, &err), 0);
	wait_for(test, &outcome.done);
	assert_int_equal(outcome.done_error.code, 0);
	ticks = vm_under_test_count_text(test, "TICK");
	assert_true(vm_under_test_wait_text(test, "TICK", ticks));
	assert_int_equal(test->devices_failed, 3);
}

static void an_nmi_is_injected_into_a_guest_that_sleeps(void **state)
{
	struct vm_under_test *test = required(state);
	struct error err = ERROR_INIT;

	boot_and_wait(test);
	/* What the guest makes of it is its own affair; nobody waits for it. */
	assert_int_equal(vm_inject_nmi(test->vm, &err), 0);
	vm_under_test_run_ms(test, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_vm_that_ends_while_it_starts_ends_once),
		TEST(a_worker_that_cannot_be_started_while_others_are_asked_for_fails_the_boot),
		TEST(a_vm_starts_again_and_again_and_leaves_no_descriptor),
		TEST(operations_are_refused_in_the_wrong_state),
		TEST(one_operation_at_a_time),
		TEST(a_vm_resets_again_and_again_from_running_and_from_paused),
		TEST(a_vm_that_ends_while_it_resets_ends_once),
		TEST(workers_that_die_end_neither_a_pause_nor_a_reset_nor_a_resume),
		TEST(an_nmi_is_injected_into_a_guest_that_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
