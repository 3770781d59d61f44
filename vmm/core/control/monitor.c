/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devworkers/common/sandbox.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/control_notify.h"
#include "vmm/core/control/monitor_parts.h"
#include "vmm/core/control/process_setup.h"
#include "vmm/core/policy-loop.seccomp.h"
#include "vmm/core/snapshot/snapshot_file.h"

#define BROKER_SHUTDOWN_TIMEOUT_MS 5000
#define CONFIG_FILE_MAX_BYTES	   (50U * 1024)

/* Opened before the sandbox closes. */
struct monitor_descriptors {
	uid_t owner_uid; /* who started us */
	int event_monitor, notify;
	uint8_t *config_text; /* of --config; owned */
	size_t config_bytes;
};

/* ---- the end -----------------------------------------------------------------------------------
 */

static void monitor_on_broker_watch_closed(void *opaque)
{
	(void)opaque;
}

/* Close every handle; the loop then runs dry and uv_run() returns. */
static void monitor_close_handles(void *opaque)
{
	struct monitor *monitor = opaque;

	monitor->control = NULL;
	uv_close((uv_handle_t *)&monitor->sigterm, NULL);
	uv_close((uv_handle_t *)&monitor->sigint, NULL);
	uv_close((uv_handle_t *)&monitor->broker_gone, NULL);
	channel_watch_close(&monitor->broker_watch, monitor_on_broker_watch_closed, monitor);
}

void monitor_stop(struct monitor *monitor, enum monitor_exit status)
{
	if (monitor->stopping)
		return;
	monitor->stopping = true;
	monitor->status = status;
	if (monitor->control)
		control_stop(monitor->control, monitor_close_handles, monitor);
	else
		monitor_close_handles(monitor);
}

enum monitor_exit monitor_exit_status(enum vm_end why, const struct error *failure)
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
	case -ETXTBSY:
	case -EEXIST:
	case -EADDRINUSE:
	case -ENAMETOOLONG:
	case -ELOOP:
	case -EROFS:
	case -EFBIG:
	case -E2BIG:
	case -ENXIO: /* a fifo without a reader, a socket */
	case -ENOTBLK:
	case -ERANGE:
		return MONITOR_EXIT_USAGE;
	case -ENOTSUP:
	case -ENODEV:
	case -ENOMEM:
	case -ENOSYS:
	case -EMFILE:
	case -ENFILE:
	case -ENOSPC:
		return MONITOR_EXIT_HOST;
	default:
		return MONITOR_EXIT_INTERNAL;
	}
}

/* ---- what the broker reports
 * --------------------------------------------------------------------- */

static void monitor_on_process_exited(void *opaque, int32_t pid, const char *device_id,
				      int32_t exit_status, int32_t signal_number)
{
	struct monitor *monitor = opaque;

	control_on_process_exited(monitor->control, pid, device_id, exit_status, signal_number);
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
	struct monitor *monitor = opaque;

	control_on_violation(monitor->control, pid, kind, device_id, syscall_name);
	log_error("sandbox violation: bulkhead-%s of device \"%s\" (process %d) made the forbidden "
		  "system call %s (%d) and was killed",
		  kind, device_id, pid, syscall_name, syscall_number);
}

static void monitor_on_broker_gone(uv_timer_t *timer)
{
	struct monitor *monitor = timer->data;

	if (monitor->stopping)
		return;
	monitor->vmm_shutdown = true;
	if (monitor->vm && vm_shutdown(monitor->vm, VM_END_FAILURE, &monitor->broker_failure) == 0)
		return;
	log_error("%s", monitor->broker_failure.message);
	monitor_destroy_vm(monitor);
	monitor_stop(monitor, MONITOR_EXIT_INTERNAL);
}

/*
 * It may go while somebody waits for its answer, in the middle of an operation on the VM: that one
 * fails by itself, and reports so, before the VM is ended.
 */
static void monitor_on_broker_closed(void *opaque, const struct error *err)
{
	struct monitor *monitor = opaque;

	channel_watch_stop(&monitor->broker_watch);
	if (monitor->stopping)
		return;
	error_set(&monitor->broker_failure, -EIO,
		  "the broker is gone, and with it every device: %s", err->message);
	uv_timer_start(&monitor->broker_gone, monitor_on_broker_gone, 0, 0);
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
	if (!monitor->stopping)
		monitor_end(monitor, &why);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Whatever the operator's shell left open stays out of our processes, but for what options name as
 * fd=N. */
static void monitor_close_stray_fds(const struct command_line *line)
{
	int keep[CONTROL_MAX_SOCKETS + 2] = {STDERR_FILENO};
	unsigned count = 1;

	for (unsigned i = 0; i < line->control.socket_count; i++)
		if (line->control.sockets[i].fd > STDERR_FILENO)
			keep[count++] = line->control.sockets[i].fd;
	if (line->control.has_event_monitor_fd && line->control.event_monitor_fd > STDERR_FILENO)
		keep[count++] = line->control.event_monitor_fd;
	qsort(keep, count, sizeof(keep[0]), compare_fds);
	for (unsigned i = 0; i < count; i++) {
		unsigned last = i + 1 < count ? (unsigned)keep[i + 1] - 1 : ~0U;

		if (last >= (unsigned)keep[i] + 1)
			(void)close_range((unsigned)keep[i] + 1, last, 0);
	}
}

static int monitor_open_log(struct monitor *monitor, const struct command_line *line,
			    struct error *err)
{
	struct log_options options = {
		.level = line->log_level,
		.json = line->log_json,
		.vm_name = line->config->name[0] ? line->config->name : "vm",
		.process = "core",
	};

	monitor->log_fd =
		line->log_file
			? open(line->log_file,
			       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			       0600)
			: log_descriptor(STDERR_FILENO);
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
		.vm_name = line->config->name[0] ? line->config->name : "vm",
		.log_fd = monitor->log_fd,
		.log_level = line->log_level,
		.log_json = line->log_json,
		.seccomp = seccomp_names[line->seccomp],
		.uid_range = line->uid_range,
		.allow_missing = line->allow_missing,
	};

	monitor->broker = broker_client_launch(&options, &broker_events, monitor, err);
	if (monitor->broker)
		return 0;
	/* Its program is no file of the operator's. */
	if (err->code == -ENOENT || err->code == -EACCES || err->code == -ENOEXEC)
		err->code = -ENODEV;
	return err->code;
}

/*
 * Give up everything that a path, a new process or another user's right could be reached with. What
 * needs nothing from the broker comes first: meanwhile that starts, and claims our ids.
 */
static int monitor_enter_sandbox(struct monitor *monitor, const struct command_line *line,
				 struct error *err)
{
	struct sandbox_self_options options = {.drop_ids = geteuid() == 0, .keep_all_fds = true};
	const Bulkhead__Broker__Welcome *welcome;
	uint32_t missing = 0;

	if (line->allow_missing &&
	    sandbox_stages_parse(line->allow_missing, &options.allow_missing, err) < 0)
		return err->code;
	if (sandbox_leave_host(&options, &missing, err) < 0)
		return error_prefix(err, "sandbox of the core");
	if (broker_client_hello(monitor->broker, err) < 0)
		return err->code;
	welcome = broker_client_welcome(monitor->broker);
	options.uid = welcome->core_uid;
	options.gid = welcome->core_gid;
	if (sandbox_give_up_rights(&options, &missing, err) < 0)
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

	/* The pool does one thing at a time, or two: a snapshot or a restore, and letting go of
	 * memory. */
	(void)setenv("UV_THREADPOOL_SIZE", "2", 0);
	/* The C library reads the time zone's file when a time is first split up: now, while it
	 * can. */
	tzset();
	if (result < 0)
		return error_set_errno(err, result, "cannot make the event loop");
	uv_signal_init(&monitor->loop, &monitor->sigterm);
	uv_signal_init(&monitor->loop, &monitor->sigint);
	uv_timer_init(&monitor->loop, &monitor->broker_gone);
	monitor->sigterm.data = monitor->sigint.data = monitor->broker_gone.data = monitor;
	uv_signal_start(&monitor->sigterm, monitor_on_signal, SIGTERM);
	uv_signal_start(&monitor->sigint, monitor_on_signal, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int monitor_start_control(struct monitor *monitor, const struct command_line *line,
				 struct monitor_descriptors *fds, struct error *err)
{
	struct control_options options = {
		.loop = &monitor->loop,
		.broker = monitor->broker,
		.settings = &line->control,
		.vm_name = line->config->name[0] ? line->config->name : "vm",
		.host = &monitor_host_ops,
		.opaque = monitor,
		.owner_uid = fds->owner_uid,
		.event_monitor_fd = fds->event_monitor,
		.notify_fd = fds->notify,
	};
	bool wanted = line->control.socket_count || fds->config_text || fds->event_monitor >= 0 ||
		      fds->notify >= 0;

	monitor->has_sockets = line->control.socket_count > 0;
	if (!wanted)
		return 0;
	fds->event_monitor = fds->notify = -1;
	monitor->control = control_new(&options, fds->config_text != NULL, err);
	return monitor->control ? 0 : err->code;
}

/* What has to be opened while paths can be reached. */
static int monitor_open_descriptors(const struct command_line *line,
				    struct monitor_descriptors *fds, struct error *err)
{
	cleanup_fd int fd = -1;

	fds->owner_uid = getuid();
	if (control_settings_open_event_monitor(&line->control, &fds->event_monitor, err) < 0 ||
	    control_notify_open(&fds->notify, err) < 0)
		return err->code;
	if (!line->config_file)
		return 0;
	fd = open(line->config_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_set_errno(err, -errno, "--config %s", line->config_file);
	if (snapshot_file_read(fd, CONFIG_FILE_MAX_BYTES, &fds->config_text, &fds->config_bytes,
			       err) < 0)
		return error_prefix(err, "--config %s", line->config_file);
	return 0;
}

static int monitor_start(struct monitor *monitor, const struct command_line *line,
			 struct monitor_descriptors *fds, struct error *err)
{
	if (monitor_open_descriptors(line, fds, err) < 0 ||
	    monitor_start_broker(monitor, line, err) < 0 || monitor_init_loop(monitor, err) < 0 ||
	    monitor_enter_sandbox(monitor, line, err) < 0)
		return err->code;
	if (channel_watch_start(&monitor->broker_watch, &monitor->loop,
				broker_client_channel(monitor->broker), err) < 0)
		return err->code;
	broker_client_set_watch(monitor->broker, &monitor->broker_watch);
	return monitor_start_control(monitor, line, fds, err);
}

/* The gateway has read --config FILE. */
static void monitor_on_config(void *opaque, Bulkhead__Config__Vm *config, const struct error *err)
{
	struct monitor *monitor = opaque;
	struct error failure = ERROR_INIT;

	if (err)
		failure = *err;
	else if (vm_config_complete(config, &failure) < 0)
		vm_config_free(config);
	else if (monitor_boot_vm(monitor, config, &failure) == 0)
		return;
	if (monitor->vm)
		return; /* it reports its end by itself */
	control_name_as_api(&failure);
	log_error("--config: %s", failure.message);
	monitor_stop(monitor, MONITOR_EXIT_USAGE);
}

static int monitor_start_vm(struct monitor *monitor, struct command_line *line,
			    const struct monitor_descriptors *fds, struct error *err)
{
	Bulkhead__Config__Vm *config;

	if (fds->config_text)
		return control_parse_config(monitor->control, fds->config_text, fds->config_bytes,
					    monitor_on_config, monitor, err);
	if (line->restore.source_url[0])
		return monitor_restore_from_command_line(monitor, line, err);
	if (!line->has_vm) { /* from here on the control sockets say what may be opened */
		if (broker_seal(monitor->broker, err) < 0)
			return err->code;
		control_ready(monitor->control);
		return 0;
	}
	config = line->config;
	line->config = NULL;
	return monitor_boot_vm(monitor, config, err);
}

static void monitor_serve(struct monitor *monitor, struct command_line *line,
			  const struct monitor_descriptors *fds)
{
	struct error err = ERROR_INIT;

	/* Once there is a VM, vm_events.ended reports what goes wrong, and stops the loop. */
	control_starting(monitor->control);
	if (monitor_start_vm(monitor, line, fds, &err) < 0 && !monitor->vm) {
		log_error("%s", err.message);
		monitor_stop(monitor, monitor_exit_status(VM_END_FAILURE, &err));
	}
	uv_run(&monitor->loop, UV_RUN_DEFAULT);
}

enum monitor_exit monitor_run(struct command_line *line)
{
	struct monitor monitor = {.log_fd = -1, .seccomp = line->seccomp};
	struct monitor_descriptors fds = {.event_monitor = -1, .notify = -1};
	struct process_streams streams;
	struct error err = ERROR_INIT;

	process_streams_note(&streams);
	monitor_close_stray_fds(line);
	if (monitor_open_log(&monitor, line, &err) < 0) {
		dprintf(STDERR_FILENO, "bulkhead: %s\n", err.message);
		return MONITOR_EXIT_USAGE;
	}
	if (monitor_start(&monitor, line, &fds, &err) < 0) {
		log_error("%s", err.message);
		monitor.status = monitor_exit_status(VM_END_FAILURE, &err);
	} else {
		monitor_serve(&monitor, line, &fds);
		if (broker_client_shutdown(monitor.broker, BROKER_SHUTDOWN_TIMEOUT_MS, &err) < 0)
			log_warning("broker: %s", err.message);
		(void)uv_loop_close(&monitor.loop);
	}
	broker_client_destroy(monitor.broker);
	process_streams_put_back(&streams);
	free(fds.config_text);
	fd_close(&fds.event_monitor);
	fd_close(&fds.notify);
	fd_close(&monitor.log_fd);
	return monitor.status;
}
