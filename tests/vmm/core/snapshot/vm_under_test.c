/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/snapshot/vm_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/support/scratch_folder.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/overrides.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/vm_parts.h"

#define OPERATION_TIMEOUT_MS 60000
#define DISK_BYTES	     (1 << 20)
#define MEMORY_BYTES	     (128ULL << 20)

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
	vm_under_test_init_workers(test, NULL);
}

void vm_under_test_init_workers(struct vm_under_test *test, const char *worker_folder)
{
	struct broker_start_options options = {.log_fd = STDERR_FILENO,
					       .log_level = LOG_LEVEL_WARNING};
	struct error err = ERROR_INIT;
	char program[256];

	memset(test, 0, sizeof(*test));
	test->serial_client = -1;
	options.worker_folder = worker_folder;
	signal(SIGPIPE, SIG_IGN);
	scratch_folder_make("snapshot", test->folder, sizeof(test->folder));
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
	struct vm_under_test *test = opaque;

	test->devices_failed++;
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

static void make_disk(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
}

static void set_serial(struct vm_under_test *test, Bulkhead__Config__Serial *serial, bool socket)
{
	char path[256];

	serial->mode = socket ? BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET
			      : BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	set_string(&serial->path,
		   socket ? vm_under_test_path(test, "serial.socket", path, sizeof(path))
			  : test->serial);
}

static Bulkhead__Config__Vm *make_config(struct vm_under_test *test,
					 const struct vm_under_test_machine *machine)
{
	Bulkhead__Config__Vm *config = vm_config_new();
	Bulkhead__Config__Disk *disk = vm_config_add_disk(config);
	struct error err = ERROR_INIT;
	char path[256];

	make_disk(vm_under_test_path(test, "disk", path, sizeof(path)));
	set_string(&disk->path, path);
	set_string(&disk->id, "root");
	(void)vm_config_rng(config);
	vm_config_console(config)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	set_string(&config->console->path, vm_under_test_path(test, "console", path, sizeof(path)));
	set_serial(test, config->serial, machine->serial_socket);
	(void)snprintf(path, sizeof(path), "%s/guests/%s.elf", build_folder(), machine->guest);
	set_string(&config->payload->kernel, path);
	set_string(&config->payload->cmdline, machine->cmdline);
	config->memory->size_bytes = machine->memory_bytes ? machine->memory_bytes : MEMORY_BYTES;
	config->memory->hugepages = machine->hugepages;
	config->memory->prefault = machine->prefault;
	config->memory->thp = machine->thp;
	if (machine->memory_file)
		set_string(&config->memory->file, machine->memory_file);
	config->cpus->boot = machine->cpus ? machine->cpus : 1;
	if (vm_config_complete(config, &err) < 0)
		fail_msg("%s", err.message);
	return config;
}

void vm_under_test_make_vm(struct vm_under_test *test, Bulkhead__Config__Vm *config)
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

	vm_under_test_end_vm(test); /* of a test that failed half-way */
	test->ended = false;
	test->vm = vm_new(&options, &err);
	if (!test->vm)
		fail_msg("%s", err.message);
}

int vm_under_test_boot_machine(struct vm_under_test *test,
			       const struct vm_under_test_machine *machine)
{
	struct error err = ERROR_INIT;

	vm_under_test_make_vm(test, make_config(test, machine));
	begin(test);
	return wait_done(test, vm_boot(test->vm, on_done, test, &err), &err);
}

void vm_under_test_boot(struct vm_under_test *test, const char *guest, const char *cmdline,
			unsigned cpus)
{
	struct vm_under_test_machine machine = {.guest = guest, .cmdline = cmdline, .cpus = cpus};

	if (vm_under_test_boot_machine(test, &machine) != 0)
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

int vm_under_test_begin_snapshot(struct vm_under_test *test, const char *path)
{
	struct error err = ERROR_INIT;
	int result;

	begin(test);
	result = vm_snapshot(test->vm, path, on_done, test, &err);
	if (result < 0)
		test->result = err;
	return result;
}

int vm_under_test_wait(struct vm_under_test *test)
{
	return wait_done(test, 0, NULL);
}

int vm_under_test_snapshot(struct vm_under_test *test, const char *path)
{
	int result = vm_under_test_begin_snapshot(test, path);

	return result < 0 ? result : vm_under_test_wait(test);
}

bool vm_under_test_run_to_phase(struct vm_under_test *test, enum snapshot_phase phase)
{
	struct snapshot_status status;

	vm_snapshot_status(test->vm, &status);
	while (!test->done && status.phase < phase) {
		uv_run(&test->loop, UV_RUN_ONCE);
		vm_snapshot_status(test->vm, &status);
	}
	return !test->done && status.phase == phase;
}

int vm_under_test_worker_pid(struct vm_under_test *test, const char *id)
{
	for (unsigned i = 0; i < test->vm->device_count; i++)
		if (strcmp(worker_device_id(test->vm->devices[i]), id) == 0)
			return worker_device_pid(test->vm->devices[i]);
	fail_msg("no device \"%s\"", id);
	return -1;
}

int vm_under_test_restore_with(struct vm_under_test *test, const char *path, bool on_demand,
			       Bulkhead__Config__Vm *overrides)
{
	struct restore_options options = {.on_demand = on_demand, .force = test->force};
	struct error err = ERROR_INIT;
	struct snapshot_reader *reader = snapshot_reader_open(test->broker, path, &err);
	int result = reader ? 0 : err.code;

	if (reader && overrides)
		result = vm_config_apply_overrides(reader->config, overrides, &err);
	vm_config_free(overrides);
	if (result < 0) {
		snapshot_reader_destroy(reader);
		test->result = err;
		return result;
	}
	vm_under_test_make_vm(test, reader->config);
	reader->config = NULL;
	begin(test);
	return wait_done(test, vm_restore(test->vm, reader, &options, on_done, test, &err), &err);
}

int vm_under_test_restore(struct vm_under_test *test, const char *path, bool on_demand)
{
	return vm_under_test_restore_with(test, path, on_demand, NULL);
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
	fd_close(&test->serial_client);
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

void vm_under_test_destroy(struct vm_under_test *test)
{
	struct error err = ERROR_INIT;

	vm_under_test_end_vm(test);
	fd_close(&test->serial_client);
	channel_watch_close(&test->broker_watch, NULL, NULL);
	vm_under_test_run_ms(test, 1);
	(void)broker_client_shutdown(test->broker, 5000, &err);
	broker_client_destroy(test->broker);
	assert_int_equal(uv_loop_close(&test->loop), 0);
	scratch_folder_remove(test->folder);
}

void vm_under_test_init_saved(struct vm_under_test *test, char *path, size_t bytes)
{
	vm_under_test_init(test);
	vm_under_test_boot(test, "snapshot", "touch=1 interval_ms=20", 1);
	assert_true(vm_under_test_wait_text(test, "TICK", 1));
	assert_int_equal(vm_under_test_pause(test), 0);
	assert_int_equal(
		vm_under_test_snapshot(test, vm_under_test_path(test, "snapshot", path, bytes)), 0);
	vm_under_test_end_vm(test);
}
