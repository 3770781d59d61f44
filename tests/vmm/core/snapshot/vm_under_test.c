/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/snapshot/vm_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"

#define OPERATION_TIMEOUT_MS 60000
#define TEXT_TIMEOUT_MS	     60000
#define DISK_BYTES	     (1 << 20)

static const char *build_folder(void)
{
	const char *folder = getenv("BULKHEAD_BUILD");

	return folder ? folder : "build";
}

bool vm_under_test_possible(void)
{
	char path[256];

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		printf("skip: no access to /dev/kvm\n");
		return false;
	}
	(void)snprintf(path, sizeof(path), "%s/guests/snapshot.elf", build_folder());
	if (access(path, R_OK) != 0) {
		printf("skip: %s is not built\n", path);
		return false;
	}
	return true;
}

const char *vm_under_test_path(struct vm_under_test *test, const char *name, char *path,
			       size_t bytes)
{
	(void)snprintf(path, bytes, "%s/%s", test->folder, name);
	return path;
}

void vm_under_test_init(struct vm_under_test *test)
{
	struct broker_start_options options = {.log_fd = STDERR_FILENO,
					       .log_level = LOG_LEVEL_WARNING};
	struct error err = ERROR_INIT;
	char program[256];

	memset(test, 0, sizeof(*test));
	signal(SIGPIPE, SIG_IGN);
	(void)snprintf(test->folder, sizeof(test->folder), "/tmp/bulkhead-snapshot-XXXXXX");
	assert_non_null(mkdtemp(test->folder));
	vm_under_test_path(test, "serial", test->serial, sizeof(test->serial));
	(void)snprintf(program, sizeof(program), "%s/bin/bulkhead-broker", build_folder());
	options.program = program;
	assert_int_equal(uv_loop_init(&test->loop), 0);
	test->broker = broker_client_start(&options, NULL, NULL, &err);
	if (!test->broker)
		fail_msg("%s", err.message);
	assert_int_equal(channel_watch_start(&test->broker_watch, &test->loop,
					     broker_client_channel(test->broker), &err),
			 0);
	broker_client_set_watch(test->broker, &test->broker_watch);
}

/* ---- running the loop under a deadline
 * ---------------------------------------------------------------- */

static void on_deadline(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
	uv_stop(timer->loop);
}

static void on_timer_closed(uv_handle_t *handle)
{
	*(bool *)handle->data = true;
}

/* Run until *flag or the deadline; true when the flag was set. */
static bool run_until(struct vm_under_test *test, const bool *flag, unsigned timeout_ms)
{
	bool expired = false, closed = false;
	uv_timer_t timer;

	uv_timer_init(&test->loop, &timer);
	timer.data = &expired;
	uv_timer_start(&timer, on_deadline, timeout_ms, 0);
	while (!*flag && !expired)
		uv_run(&test->loop, UV_RUN_ONCE);
	timer.data = &closed;
	uv_close((uv_handle_t *)&timer, on_timer_closed);
	while (!closed)
		uv_run(&test->loop, UV_RUN_ONCE);
	return *flag;
}

void vm_under_test_run_ms(struct vm_under_test *test, unsigned milliseconds)
{
	bool never = false;

	(void)run_until(test, &never, milliseconds);
}

/* ---- the VM
 * --------------------------------------------------------------------------------------------- */

static void on_state_changed(void *opaque, struct vm *vm, enum vm_state from, enum vm_state to)
{
	(void)opaque;
	(void)vm;
	(void)from;
	(void)to;
}

static void on_ended(void *opaque, struct vm *vm, enum vm_end why, const struct error *text)
{
	struct vm_under_test *test = opaque;

	(void)vm;
	test->ended = true;
	test->why = why;
	if (why != VM_END_POWER_OFF)
		test->result = *text;
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

static const struct vm_events events = {on_state_changed, on_ended, on_device_failed, on_terminal};

static void on_done(void *opaque, struct vm *vm, const struct error *err)
{
	struct vm_under_test *test = opaque;

	(void)vm;
	test->done = true;
	test->result = err ? *err : (struct error)ERROR_INIT;
}

static int wait_done(struct vm_under_test *test, int result, const struct error *err)
{
	if (result < 0) {
		test->result = *err;
		return result;
	}
	if (!run_until(test, &test->done, OPERATION_TIMEOUT_MS))
		fail_msg("the operation did not end in time");
	return test->result.code;
}

static void begin(struct vm_under_test *test)
{
	test->done = false;
	test->result = (struct error)ERROR_INIT;
}

static void set_string(char **target, const char *text)
{
	assert_int_equal(option_set_string(target, text, strlen(text)), 0);
}

static Bulkhead__Config__Vm *make_config(struct vm_under_test *test, const char *guest,
					 const char *cmdline, unsigned cpus)
{
	Bulkhead__Config__Vm *config = vm_config_new();
	Bulkhead__Config__Disk *disk = vm_config_add_disk(config);
	struct error err = ERROR_INIT;
	char path[256];
	int fd;

	vm_under_test_path(test, "disk", path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	set_string(&disk->path, path);
	set_string(&disk->id, "root");
	(void)vm_config_rng(config);
	vm_config_console(config)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	set_string(&config->console->path, vm_under_test_path(test, "console", path, sizeof(path)));
	config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	set_string(&config->serial->path, test->serial);
	(void)snprintf(path, sizeof(path), "%s/guests/%s.elf", build_folder(), guest);
	set_string(&config->payload->kernel, path);
	set_string(&config->payload->cmdline, cmdline);
	config->memory->size_bytes = 128ULL << 20;
	config->cpus->boot = cpus;
	if (vm_config_complete(config, &err) < 0)
		fail_msg("%s", err.message);
	return config;
}

static void make_vm(struct vm_under_test *test, Bulkhead__Config__Vm *config)
{
	struct error err = ERROR_INIT;
	struct vm_options options = {
		.loop = &test->loop,
		.broker = test->broker,
		.config = config,
		.events = &events,
		.opaque = test,
		.log_fd = STDERR_FILENO,
		.seccomp = SANDBOX_SECCOMP_OFF, /* this process has no filter to narrow */
	};

	test->ended = false;
	test->vm = vm_new(&options, &err);
	if (!test->vm)
		fail_msg("%s", err.message);
}

void vm_under_test_boot(struct vm_under_test *test, const char *guest, const char *cmdline,
			unsigned cpus)
{
	struct error err = ERROR_INIT;

	make_vm(test, make_config(test, guest, cmdline, cpus));
	begin(test);
	if (wait_done(test, vm_boot(test->vm, on_done, test, &err), &err) != 0)
		fail_msg("%s", test->result.message);
}

int vm_under_test_pause(struct vm_under_test *test)
{
	struct error err = ERROR_INIT;

	begin(test);
	return wait_done(test, vm_pause(test->vm, on_done, test, &err), &err);
}

int vm_under_test_resume(struct vm_under_test *test)
{
	struct error err = ERROR_INIT;

	begin(test);
	return wait_done(test, vm_resume(test->vm, on_done, test, &err), &err);
}

int vm_under_test_snapshot(struct vm_under_test *test, const char *path)
{
	struct error err = ERROR_INIT;

	begin(test);
	return wait_done(test, vm_snapshot(test->vm, path, on_done, test, &err), &err);
}

int vm_under_test_restore(struct vm_under_test *test, const char *path, bool on_demand)
{
	struct restore_options options = {.on_demand = on_demand};
	struct error err = ERROR_INIT;
	struct snapshot_reader *reader = snapshot_reader_open(test->broker, path, &err);

	if (!reader) {
		test->result = err;
		return err.code;
	}
	make_vm(test, reader->config);
	reader->config = NULL;
	begin(test);
	return wait_done(test, vm_restore(test->vm, reader, &options, on_done, test, &err), &err);
}

static void on_gone(void *opaque)
{
	struct vm_under_test *test = opaque;

	test->done = true;
}

void vm_under_test_end_vm(struct vm_under_test *test)
{
	struct error why = ERROR_INIT;

	if (!test->vm)
		return;
	error_set(&why, -EINTR, "end of test");
	(void)vm_shutdown(test->vm, VM_END_POWER_OFF, &why);
	if (vm_state(test->vm) != VM_CREATED &&
	    !run_until(test, &test->ended, OPERATION_TIMEOUT_MS))
		fail_msg("the VM did not end in time");
	test->done = false;
	vm_destroy(test->vm, on_gone, test);
	test->vm = NULL;
	assert_true(run_until(test, &test->done, OPERATION_TIMEOUT_MS));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

void vm_under_test_destroy(struct vm_under_test *test)
{
	struct error err = ERROR_INIT;

	vm_under_test_end_vm(test);
	channel_watch_close(&test->broker_watch, NULL, NULL);
	uv_run(&test->loop, UV_RUN_DEFAULT);
	(void)broker_client_shutdown(test->broker, 5000, &err);
	broker_client_destroy(test->broker);
	assert_int_equal(uv_loop_close(&test->loop), 0);
	assert_int_equal(nftw(test->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- what the guest printed
 * ------------------------------------------------------------------------------- */

unsigned vm_under_test_count_text(struct vm_under_test *test, const char *text)
{
	FILE *file = fopen(test->serial, "re");
	unsigned count = 0;
	char line[512];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (strstr(line, text))
			count++;
	(void)fclose(file);
	return count;
}

bool vm_under_test_wait_text(struct vm_under_test *test, const char *text, unsigned times)
{
	for (unsigned waited = 0; waited < TEXT_TIMEOUT_MS; waited += 20) {
		if (vm_under_test_count_text(test, text) > times)
			return true;
		vm_under_test_run_ms(test, 20);
	}
	return false;
}
