/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "devworkers/common/sandbox.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/config/overrides.h"
#include "vmm/core/control/vm.h"
#include "vmm/core/policy-loop.seccomp.h"
#include "vmm/core/snapshot/restore.h"
#include "vmm/core/workers/broker_client.h"
#include "vmm/core/workers/channel_watch.h"

#define BROKER_SHUTDOWN_TIMEOUT_MS 5000

struct monitor {
	uv_loop_t loop;
	uv_signal_t sigterm, sigint;
	struct broker_client *broker;
	struct channel_watch broker_watch;
	struct vm *vm;
	int log_fd;
	enum sandbox_seccomp_mode seccomp;
	bool resume; /* as soon as the VM is restored */
	bool stopping;
	enum monitor_exit status;
};

/* ---- the end
 * ------------------------------------------------------------------------------------------- */

static void monitor_on_broker_watch_closed(void *opaque)
{
	(void)opaque;
}

/* Close every handle; the loop then runs dry and uv_run() returns. */
static void monitor_stop(struct monitor *monitor, enum monitor_exit status)
{
	if (monitor->stopping)
		return;
	monitor->stopping = true;
	monitor->status = status;
	uv_close((uv_handle_t *)&monitor->sigterm, NULL);
	uv_close((uv_handle_t *)&monitor->sigint, NULL);
	channel_watch_close(&monitor->broker_watch, monitor_on_broker_watch_closed, monitor);
}

static void monitor_on_vm_gone(void *opaque)
{
	struct monitor *monitor = opaque;

	monitor->vm = NULL;
}

static enum monitor_exit monitor_exit_status(enum vm_end why, const struct error *failure)
{
	switch (why) {
	case VM_END_POWER_OFF:
		return MONITOR_EXIT_CLEAN;
	case VM_END_TRIPLE_FAULT:
	case VM_END_PANIC:
		return MONITOR_EXIT_GUEST;
	case VM_END_EMULATION:
		return MONITOR_EXIT_HOST;
	case VM_END_FAILURE:
		break;
	}
	switch (failure->code) {
	case -ENOENT:
	case -EINVAL:
	case -EACCES:
	case -EPERM:
	case -EISDIR:
	case -ENOTDIR:
	case -ENOEXEC:
	case -EBUSY:
		return MONITOR_EXIT_USAGE;
	case -ENOTSUP:
	case -ENODEV:
	case -ENOMEM:
	case -ENOSYS:
		return MONITOR_EXIT_HOST;
	default:
		return MONITOR_EXIT_INTERNAL;
	}
}

static void monitor_explain_emulation(void)
{
	log_error("this host's KVM emulates guest instructions one by one instead of running them, "
		  "and does "
		  "not know this one: ordinary kernels cannot boot here. `bulkhead check-host` "
		  "tells more; "
		  "run this guest on a host with hardware virtualization");
}

/* ---- what the VM reports
 * ------------------------------------------------------------------------------- */

static void monitor_on_vm_state(void *opaque, struct vm *vm, enum vm_state from, enum vm_state to)
{
	(void)opaque;
	(void)vm;
	log_info("VM: %s, was %s", vm_state_name(to), vm_state_name(from));
}

static void monitor_on_vm_ended(void *opaque, struct vm *vm, enum vm_end why,
				const struct error *failure)
{
	struct monitor *monitor = opaque;

	if (why == VM_END_POWER_OFF)
		log_info("VM ended: %s", failure->message);
	else
		log_error("%s", failure->message);
	if (why == VM_END_EMULATION)
		monitor_explain_emulation();
	vm_destroy(vm, monitor_on_vm_gone, monitor);
	monitor_stop(monitor, monitor_exit_status(why, failure));
}

static void monitor_on_device_failed(void *opaque, struct vm *vm, const char *device_id,
				     const struct error *err)
{
	(void)opaque;
	(void)vm;
	log_debug("device \"%s\" lost its worker: %s", device_id, err->message);
}

static void monitor_on_terminal(void *opaque, struct vm *vm, const char *device_id,
				const char *path)
{
	(void)opaque;
	(void)vm;
	/* For the operator, who asked for a pty and has to know which one it is. */
	dprintf(STDERR_FILENO, "%s: pseudo terminal %s\n", device_id, path);
}

static const struct vm_events vm_events = {
	.state_changed = monitor_on_vm_state,
	.ended = monitor_on_vm_ended,
	.device_failed = monitor_on_device_failed,
	.terminal = monitor_on_terminal,
};

/* ---- what the broker reports
 * --------------------------------------------------------------------------- */

static void monitor_on_process_exited(void *opaque, int32_t pid, const char *device_id,
				      int32_t exit_status, int32_t signal_number)
{
	struct monitor *monitor = opaque;

	if (monitor->stopping)
		return;
	if (signal_number)
		log_info("process %d of device \"%s\" was ended by signal %d", pid, device_id,
			 signal_number);
	else
		log_info("process %d of device \"%s\" ended with status %d", pid, device_id,
			 exit_status);
}

static void monitor_on_violation(void *opaque, int32_t pid, const char *kind, const char *device_id,
				 int32_t syscall_number, const char *syscall_name)
{
	(void)opaque;
	log_error("sandbox violation: bulkhead-%s of device \"%s\" (process %d) made the forbidden "
		  "system "
		  "call %s (%d) and was killed",
		  kind, device_id, pid, syscall_name, syscall_number);
}

static void monitor_on_broker_closed(void *opaque, const struct error *err)
{
	struct monitor *monitor = opaque;
	struct error failure = ERROR_INIT;

	channel_watch_stop(&monitor->broker_watch);
	if (monitor->stopping)
		return;
	error_set(&failure, -EIO, "the broker is gone, and with it every device: %s", err->message);
	if (monitor->vm && vm_shutdown(monitor->vm, VM_END_FAILURE, &failure) == 0)
		return;
	log_error("%s", failure.message);
	monitor_stop(monitor, MONITOR_EXIT_INTERNAL);
}

static const struct broker_events broker_events = {
	.exited = monitor_on_process_exited,
	.violation = monitor_on_violation,
	.closed = monitor_on_broker_closed,
};

/* ---- the beginning
 * ------------------------------------------------------------------------------------- */

static void monitor_on_signal(uv_signal_t *handle, int signal_number)
{
	struct monitor *monitor = handle->data;
	struct error why = ERROR_INIT;

	error_set(&why, -EINTR, "ended by signal %d (%s)", signal_number, strsignal(signal_number));
	if (monitor->vm && vm_shutdown(monitor->vm, VM_END_POWER_OFF, &why) == 0)
		return;
	monitor_stop(monitor, MONITOR_EXIT_CLEAN);
}

static int monitor_open_log(struct monitor *monitor, const struct command_line *line,
			    struct error *err)
{
	struct log_options options = {
		.level = line->log_level,
		.json = line->log_json,
		.vm_name = line->has_vm ? line->config->name : "vm",
		.process = "core",
	};

	monitor->log_fd = line->log_file
				  ? open(line->log_file,
					 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600)
				  : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (monitor->log_fd < 0)
		return error_set_errno(err, -errno, "--log-file %s",
				       line->log_file ? line->log_file : "(standard error)");
	options.fd = monitor->log_fd;
	log_setup(&options);
	return 0;
}

static const char *const seccomp_names[] = {
	[SANDBOX_SECCOMP_ENFORCE] = "true",
	[SANDBOX_SECCOMP_LOG] = "log",
	[SANDBOX_SECCOMP_OFF] = "false",
};

static int monitor_start_broker(struct monitor *monitor, const struct command_line *line,
				struct error *err)
{
	struct broker_start_options options = {
		.vm_name = line->has_vm ? line->config->name : "vm",
		.log_fd = monitor->log_fd,
		.log_level = line->log_level,
		.log_json = line->log_json,
		.seccomp = seccomp_names[line->seccomp],
		.uid_range = line->uid_range,
		.allow_missing = line->allow_missing,
	};

	monitor->broker = broker_client_start(&options, &broker_events, monitor, err);
	return monitor->broker ? 0 : error_prefix(err, "broker");
}

/* Give up everything that a path, a new process or another user's right could be reached with. */
static int monitor_enter_sandbox(struct monitor *monitor, const struct command_line *line,
				 struct error *err)
{
	const Bulkhead__Broker__Welcome *welcome = broker_client_welcome(monitor->broker);
	struct sandbox_self_options options = {
		.drop_ids = welcome->separate_ids,
		.uid = welcome->core_uid,
		.gid = welcome->core_gid,
		.keep_all_fds = true,
	};
	uint32_t missing = 0;

	if (line->allow_missing &&
	    sandbox_stages_parse(line->allow_missing, &options.allow_missing, err) < 0)
		return err->code;
	if (sandbox_enter_self(&options, &missing, err) < 0)
		return error_prefix(err, "sandbox of the core");
	for (unsigned stage = 0; stage < SANDBOX_STAGE_COUNT; stage++)
		if (missing & (1U << stage))
			log_warning("the core runs without the sandbox stage \"%s\"",
				    sandbox_stage_name(stage));
	return sandbox_install_filter(&core_loop_policy, monitor->seccomp, SANDBOX_FILTER_PROCESS,
				      NULL, err);
}

static int monitor_init_loop(struct monitor *monitor, struct error *err)
{
	int result = uv_loop_init(&monitor->loop);

	/* The C library reads the time zone's file when a time is first split up: now, while it
	 * can. */
	tzset();
	if (result < 0)
		return error_set_errno(err, result, "cannot make the event loop");
	uv_signal_init(&monitor->loop, &monitor->sigterm);
	uv_signal_init(&monitor->loop, &monitor->sigint);
	monitor->sigterm.data = monitor->sigint.data = monitor;
	uv_signal_start(&monitor->sigterm, monitor_on_signal, SIGTERM);
	uv_signal_start(&monitor->sigint, monitor_on_signal, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static void monitor_on_restored(void *opaque, struct vm *vm, const struct error *err)
{
	struct monitor *monitor = opaque;
	struct error failure = ERROR_INIT;

	if (!err && monitor->resume && vm_resume(vm, NULL, NULL, &failure) < 0)
		log_error("%s", failure.message);
}

/* The configuration is the snapshot's, with what the command line overrides. */
static int monitor_restore_vm(struct monitor *monitor, struct vm_options *vm_options,
			      struct command_line *line, struct error *err)
{
	struct restore_options options = {
		.on_demand = strcasecmp(line->restore.memory_restore_mode, "ondemand") == 0,
		.prefault = line->restore.prefault,
		.force = line->restore.force,
	};
	const char *path = command_line_url_path("--restore", line->restore.source_url, err);
	struct snapshot_reader *reader;

	reader = path ? snapshot_reader_open(monitor->broker, path, err) : NULL;
	if (!reader)
		return err->code;
	if (vm_config_apply_overrides(reader->config, line->config, err) == 0) {
		vm_options->config = reader->config;
		monitor->vm = vm_new(vm_options, err);
	}
	if (!monitor->vm) {
		snapshot_reader_destroy(reader);
		return err->code;
	}
	reader->config = NULL;
	monitor->resume = line->restore.resume;
	return vm_restore(monitor->vm, reader, &options, monitor_on_restored, monitor, err);
}

static int monitor_start_vm(struct monitor *monitor, struct command_line *line, struct error *err)
{
	struct vm_options options = {
		.loop = &monitor->loop,
		.broker = monitor->broker,
		.config = line->config,
		.events = &vm_events,
		.opaque = monitor,
		.log_fd = monitor->log_fd,
		.seccomp = monitor->seccomp,
	};

	if (line->restore.source_url[0])
		return monitor_restore_vm(monitor, &options, line, err);
	monitor->vm = vm_new(&options, err);
	if (!monitor->vm)
		return err->code;
	line->config = NULL;
	return vm_boot(monitor->vm, NULL, NULL, err);
}

static int monitor_start(struct monitor *monitor, struct command_line *line, struct error *err)
{
	if (monitor_start_broker(monitor, line, err) < 0 || monitor_init_loop(monitor, err) < 0 ||
	    monitor_enter_sandbox(monitor, line, err) < 0)
		return err->code;
	if (channel_watch_start(&monitor->broker_watch, &monitor->loop,
				broker_client_channel(monitor->broker), err) < 0)
		return err->code;
	broker_client_set_watch(monitor->broker, &monitor->broker_watch);
	return 0;
}

enum monitor_exit monitor_run(struct command_line *line)
{
	struct monitor monitor = {.log_fd = -1, .seccomp = line->seccomp};
	struct error err = ERROR_INIT;

	if (monitor_open_log(&monitor, line, &err) < 0) {
		dprintf(STDERR_FILENO, "bulkhead: %s\n", err.message);
		return MONITOR_EXIT_USAGE;
	}
	if (monitor_start(&monitor, line, &err) < 0) {
		log_error("%s", err.message);
		broker_client_destroy(monitor.broker);
		return monitor_exit_status(VM_END_FAILURE, &err);
	}
	/* A failure after this point is reported by vm_events.ended, which also stops the loop. */
	(void)monitor_start_vm(&monitor, line, &err);
	if (!monitor.vm) {
		log_error("%s", err.message);
		monitor_stop(&monitor, monitor_exit_status(VM_END_FAILURE, &err));
	}
	uv_run(&monitor.loop, UV_RUN_DEFAULT);
	if (broker_client_shutdown(monitor.broker, BROKER_SHUTDOWN_TIMEOUT_MS, &err) < 0)
		log_warning("broker: %s", err.message);
	broker_client_destroy(monitor.broker);
	(void)uv_loop_close(&monitor.loop);
	fd_close(&monitor.log_fd);
	return monitor.status;
}
