/* SPDX-License-Identifier: Apache-2.0 */
/* The process's one VM: made by the command line or by the control socket, watched until it ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/overrides.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/monitor_parts.h"
#include "vmm/core/snapshot/restore.h"

/* ---- what the VM reports ----------------------------------------------------------------------
 */

static void monitor_on_vm_state(void *opaque, struct vm *vm, enum vm_state from, enum vm_state to)
{
	struct monitor *monitor = opaque;

	(void)vm;
	log_info("VM: %s, was %s", vm_state_name(to), vm_state_name(from));
	control_on_vm_state(monitor->control, from, to);
}

static void monitor_explain_emulation(void)
{
	log_error("this host's KVM emulates guest instructions one by one instead of running them, "
		  "and does not know this one: ordinary kernels cannot boot here. `bulkhead "
		  "check-host` tells more; run this guest on a host with hardware virtualization");
}

static void monitor_on_vm_gone(void *opaque)
{
	struct monitor *monitor = opaque;
	void (*done)(void *) = monitor->delete_done;
	void (*restore_done)(void *, const struct error *) = monitor->restore_done;
	struct error failure = monitor->restore_failure;

	monitor->vm = NULL;
	monitor->vm_going = false;
	monitor->restoring = monitor->from_command_line = false;
	monitor->delete_done = NULL;
	if (done)
		done(monitor->delete_opaque);
	if (restore_done && failure.code) {
		monitor->restore_done = NULL;
		monitor->restore_failure = (struct error)ERROR_INIT;
		restore_done(monitor->restore_opaque, &failure);
	}
}

void monitor_destroy_vm(struct monitor *monitor)
{
	if (!monitor->vm || monitor->vm_going)
		return;
	monitor->vm_going = true;
	vm_destroy(monitor->vm, monitor_on_vm_gone, monitor);
}

/*
 * What ends the process: the guest's own end, as it always did; SIGTERM; an end of a VM that nobody
 * can ask to start again. What the operator ended through the control socket, or could not start
 * there, may be tried again.
 */
static bool monitor_ends_with_vm(const struct monitor *monitor, enum vm_end why,
				 const struct error *failure)
{
	bool by_operator = why == VM_END_POWER_OFF && failure->code == -ECANCELED;
	bool not_started = why == VM_END_FAILURE && !monitor->from_command_line;

	return monitor->vmm_shutdown || !monitor->has_sockets || !(by_operator || not_started);
}

static void monitor_on_vm_ended(void *opaque, struct vm *vm, enum vm_end why,
				const struct error *failure)
{
	struct monitor *monitor = opaque;

	(void)vm;
	if (why == VM_END_POWER_OFF)
		log_info("VM ended: %s", failure->message);
	else
		log_error("%s", failure->message);
	if (why == VM_END_EMULATION)
		monitor_explain_emulation();
	control_on_vm_ended(monitor->control, why, failure);
	if (!monitor_ends_with_vm(monitor, why, failure)) {
		if (monitor->restoring) /* there is nothing to boot again */
			monitor_destroy_vm(monitor);
		return;
	}
	monitor_destroy_vm(monitor);
	monitor_stop(monitor, monitor_exit_status(why, failure));
}

static void monitor_on_device_failed(void *opaque, struct vm *vm, const char *device_id,
				     const struct error *err)
{
	struct monitor *monitor = opaque;

	(void)vm;
	control_on_device_failed(monitor->control, device_id, err);
}

static void monitor_on_terminal(void *opaque, struct vm *vm, const char *device_id,
				const char *path)
{
	struct monitor *monitor = opaque;

	(void)vm;
	/* For the operator, who asked for a pty and has to know which one it is. */
	dprintf(STDERR_FILENO, "%s: pseudo terminal %s\n", device_id, path);
	control_on_terminal(monitor->control, device_id, path);
}

static void monitor_on_device_active(void *opaque, struct vm *vm, const char *device_id,
				     bool active)
{
	struct monitor *monitor = opaque;

	(void)vm;
	control_on_device_active(monitor->control, device_id, active);
}

static const struct vm_events vm_events = {
	.state_changed = monitor_on_vm_state,
	.ended = monitor_on_vm_ended,
	.device_failed = monitor_on_device_failed,
	.terminal = monitor_on_terminal,
	.device_active = monitor_on_device_active,
};

/* ---- making one -------------------------------------------------------------------------------
 */

/* config is taken on success. */
static int monitor_create_vm(void *opaque, Bulkhead__Config__Vm *config, struct error *err)
{
	struct monitor *monitor = opaque;
	struct vm_options options = {
		.loop = &monitor->loop,
		.broker = monitor->broker,
		.config = config,
		.events = &vm_events,
		.opaque = monitor,
		.log_fd = monitor->log_fd,
		.seccomp = monitor->seccomp,
		.seal_broker = !broker_is_sealed(monitor->broker),
	};

	if (monitor->vm)
		return error_set(err, -EEXIST, "there is a VM already");
	/* Commands are still read while the gateway sends its last answers; nobody would end it. */
	if (monitor->stopping)
		return error_set(err, -ESHUTDOWN, "the process is ending");
	monitor->vm = vm_new(&options, err);
	return monitor->vm ? 0 : err->code;
}

/* What goes wrong is told by ended(). */
static void monitor_on_booted(void *opaque, struct vm *vm, const struct error *err)
{
	struct monitor *monitor = opaque;

	(void)vm;
	if (!err)
		control_ready(monitor->control);
}

int monitor_boot_vm(struct monitor *monitor, Bulkhead__Config__Vm *config, struct error *err)
{
	monitor->from_command_line = true;
	if (monitor_create_vm(monitor, config, err) < 0) {
		vm_config_free(config);
		return err->code;
	}
	return vm_boot(monitor->vm, monitor_on_booted, monitor, err);
}

static void monitor_on_resumed(void *opaque, struct vm *vm, const struct error *err)
{
	struct monitor *monitor = opaque;
	void (*done)(void *, const struct error *) = monitor->restore_done;

	(void)vm;
	monitor->restore_done = NULL;
	if (!err)
		control_ready(monitor->control);
	if (done)
		done(monitor->restore_opaque, err);
	else if (err)
		log_error("%s", err->message);
}

static void monitor_on_restored(void *opaque, struct vm *vm, const struct error *err)
{
	struct monitor *monitor = opaque;
	struct error failure = ERROR_INIT;

	monitor->restoring = err != NULL;
	if (err && monitor->restore_done) /* who asked may try again: when this VM is gone */
		monitor->restore_failure = *err;
	else if (err || !monitor->resume)
		monitor_on_resumed(monitor, vm, err);
	else if (vm_resume(vm, monitor_on_resumed, monitor, &failure) < 0)
		monitor_on_resumed(monitor, vm, &failure);
}

/* The configuration is the snapshot's, with what the overrides say. */
static int monitor_restore(struct monitor *monitor, const char *path,
			   const Bulkhead__Config__Vm *overrides,
			   const struct restore_options *options, struct error *err)
{
	struct snapshot_reader *reader = snapshot_reader_open(monitor->broker, path, err);

	if (!reader)
		return err->code;
	if (vm_config_apply_overrides(reader->config, overrides, err) < 0 ||
	    monitor_create_vm(monitor, reader->config, err) < 0) {
		snapshot_reader_destroy(reader);
		return err->code;
	}
	reader->config = NULL;
	monitor->restoring = true;
	return vm_restore(monitor->vm, reader, options, monitor_on_restored, monitor, err);
}

int monitor_restore_from_command_line(struct monitor *monitor, const struct command_line *line,
				      struct error *err)
{
	struct restore_options options = {
		.on_demand = strcasecmp(line->restore.memory_restore_mode, "ondemand") == 0,
		.prefault = line->restore.prefault,
		.force = line->restore.force,
	};
	const char *path = command_line_url_path("--restore", line->restore.source_url, err);

	if (!path)
		return err->code;
	monitor->resume = line->restore.resume;
	monitor->from_command_line = true;
	return monitor_restore(monitor, path, line->config, &options, err);
}

/* ---- what the control asks for ----------------------------------------------------------------
 */

static struct vm *monitor_get_vm(void *opaque)
{
	struct monitor *monitor = opaque;

	/* One that is being freed is not there for anybody any more. */
	return monitor->vm_going ? NULL : monitor->vm;
}

static int monitor_delete_vm(void *opaque, void (*done)(void *done_opaque), void *done_opaque,
			     struct error *err)
{
	struct monitor *monitor = opaque;

	if (!monitor->vm || monitor->vm_going)
		return error_set(err, -EBUSY, "the VM is being deleted already");
	monitor->delete_done = done;
	monitor->delete_opaque = done_opaque;
	monitor_destroy_vm(monitor);
	return 0;
}

void monitor_end(struct monitor *monitor, const struct error *why)
{
	monitor->vmm_shutdown = true;
	if (monitor->vm && vm_shutdown(monitor->vm, VM_END_POWER_OFF, why) == 0)
		return; /* its end is the process's */
	monitor_destroy_vm(monitor);
	monitor_stop(monitor, MONITOR_EXIT_CLEAN);
}

static void monitor_shutdown_vmm(void *opaque)
{
	struct error why = ERROR_INIT;

	error_set(&why, -ECANCELED, "shut down by the operator");
	monitor_end(opaque, &why);
}

static int override_add(Bulkhead__Config__Vm *overrides, const Bulkhead__Control__Override *from,
			struct error *err)
{
	Bulkhead__Config__Console *console;
	Bulkhead__Config__Disk *disk;
	char **path = NULL;

	if (strcmp(from->id, "serial") == 0) {
		overrides->serial->mode = from->mode;
		path = &overrides->serial->path;
	} else if (strcmp(from->id, "console") == 0) {
		console = vm_config_console(overrides);
		if (console) {
			console->mode = from->mode;
			path = &console->path;
		}
	} else {
		disk = vm_config_add_disk(overrides);
		if (disk && option_set_string(&disk->id, from->id, strlen(from->id)) == 0) {
			disk->read_only = from->read_only;
			path = &disk->path;
		}
	}
	if (!path || option_set_string(path, from->path, strlen(from->path)) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int monitor_restore_vm(void *opaque, const Bulkhead__Control__Restore *request,
			      void (*done)(void *done_opaque, const struct error *err),
			      void *done_opaque, struct error *err)
{
	struct monitor *monitor = opaque;
	Bulkhead__Config__Vm *overrides = vm_config_new();
	struct restore_options options = {
		.on_demand = request->mode == BULKHEAD__CONTROL__RESTORE_MODE__RESTORE_ON_DEMAND,
		.prefault = request->prefault,
		.force = request->force,
	};
	int result = 0;

	if (!overrides)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; result == 0 && i < request->n_overrides; i++)
		result = override_add(overrides, request->overrides[i], err);
	if (result == 0) {
		monitor->resume = request->resume;
		monitor->restore_done = done;
		monitor->restore_opaque = done_opaque;
		result = monitor_restore(monitor, request->directory, overrides, &options, err);
		if (result < 0)
			monitor->restore_done = NULL;
	}
	vm_config_free(overrides);
	return result;
}

const struct control_host_ops monitor_host_ops = {
	.vm = monitor_get_vm,
	.create_vm = monitor_create_vm,
	.delete_vm = monitor_delete_vm,
	.shutdown_vmm = monitor_shutdown_vmm,
	.restore_vm = monitor_restore_vm,
};
