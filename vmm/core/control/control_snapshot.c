/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshot, its progress, its cancellation, restore. */
#include <errno.h>

#include "vmm/core/control/control_parts.h"
#include "vmm/core/snapshot/snapshot.h"

static void migration_event(struct control *control, const char *status)
{
	control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_MIGRATION, "vm",
		      "snapshot-progress", "status", status, NULL);
}

static void snapshot_ended(struct control *control, const struct error *err)
{
	if (control)
		control->snapshot_ended_ms = channel_now_ms();
	if (!err)
		control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER, "vm",
			      "snapshotted", NULL);
	else
		control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER, "vm",
			      "snapshot-failed", "reason", err->message, NULL);
	migration_event(control, !err			   ? "completed"
				 : err->code == -ECANCELED ? "cancelled"
							   : "failed");
}

static void on_snapshot(void *opaque, struct vm *vm, const struct error *err)
{
	struct control_call *call = opaque;

	(void)vm;
	snapshot_ended(call->control, err);
	if (err)
		control_call_fail_operation(call, err);
	else
		control_call_reply(call, NULL);
}

void control_do_snapshot(struct control *control, const ProtobufCMessage *request,
			 struct control_call *call)
{
	const Bulkhead__Control__Snapshot *snapshot = (const Bulkhead__Control__Snapshot *)request;
	struct vm *vm = control_call_vm(call);
	struct error err = ERROR_INIT;

	if (!vm)
		return;
	if (vm_state(vm) != VM_PAUSED) {
		control_call_fail_text(call, -EBADFD,
				       "cannot take a snapshot: the VM is %s, not paused",
				       vm_state_name(vm_state(vm)));
		return;
	}
	control->snapshot_started_ms = channel_now_ms();
	control->snapshot_ended_ms = 0;
	migration_event(control, "setup");
	if (vm_snapshot(vm, snapshot->directory, on_snapshot, call, &err) < 0) {
		migration_event(control, "failed");
		control_call_fail_operation(call, &err);
		return;
	}
	migration_event(control, "active");
	if (snapshot->background)
		control_call_reply_early(call);
}

static Bulkhead__Control__SnapshotStatus status_of(enum snapshot_phase phase)
{
	switch (phase) {
	case SNAPSHOT_NONE:
		return BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_NONE;
	case SNAPSHOT_SETUP:
		return BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_SETUP;
	case SNAPSHOT_COMPLETED:
		return BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_COMPLETED;
	case SNAPSHOT_FAILED:
		return BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_FAILED;
	case SNAPSHOT_CANCELLED:
		return BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_CANCELLED;
	default:
		return BULKHEAD__CONTROL__SNAPSHOT_STATUS__SNAPSHOT_ACTIVE;
	}
}

void control_do_snapshot_progress(struct control *control, const ProtobufCMessage *request,
				  struct control_call *call)
{
	Bulkhead__Control__SnapshotProgress reply = BULKHEAD__CONTROL__SNAPSHOT_PROGRESS__INIT;
	const struct vm *vm = control_call_vm(call);
	struct snapshot_status status;

	(void)request;
	if (!vm)
		return;
	vm_snapshot_status(vm, &status);
	reply.status = status_of(status.phase);
	reply.phase = (char *)(uintptr_t)snapshot_phase_name(status.phase);
	reply.done_bytes = status.done_bytes;
	reply.total_bytes = status.total_bytes;
	reply.error = status.error.message;
	if (status.phase != SNAPSHOT_NONE && control->snapshot_started_ms)
		reply.elapsed_ms = (control->snapshot_ended_ms ? control->snapshot_ended_ms
							       : channel_now_ms()) -
				   control->snapshot_started_ms;
	control_call_reply(call, &reply.base);
}

void control_do_snapshot_cancel(struct control *control, const ProtobufCMessage *request,
				struct control_call *call)
{
	struct vm *vm = control_call_vm(call);
	struct error err = ERROR_INIT;

	(void)control;
	(void)request;
	if (!vm)
		return;
	/* That there is none is what was wanted (as QMP's migrate_cancel has it). */
	if (vm_snapshot_cancel(vm, &err) < 0 && err.code != -ENOENT)
		control_call_fail(call, &err);
	else
		control_call_reply(call, NULL);
}

/* A snapshot that is not there, or an override that cannot fit, is a field of the request. */
static void restore_failed(struct control_call *call, const struct error *err)
{
	struct error failure = *err;

	if (err->code == -ENOENT || err->code == -EINVAL) {
		failure.code = -EINVAL;
		control_call_fail(call, &failure);
	} else {
		control_call_fail_operation(call, err);
	}
}

static void on_restored(void *opaque, const struct error *err)
{
	struct control_call *call = opaque;

	if (err)
		restore_failed(call, err);
	else
		control_call_reply(call, NULL);
}

void control_do_restore(struct control *control, const ProtobufCMessage *request,
			struct control_call *call)
{
	const struct control_host_ops *host = control->options.host;
	struct error err = ERROR_INIT;

	if (!host->restore_vm) {
		control_call_fail_text(call, -EOPNOTSUPP, "restore: not supported by this version");
		return;
	}
	if (host->vm(control->options.opaque)) {
		control_call_fail_text(call, -EEXIST, "a VM is created already");
		return;
	}
	control->terminal_count = 0;
	if (host->restore_vm(control->options.opaque, (const Bulkhead__Control__Restore *)request,
			     on_restored, call, &err) < 0)
		restore_failed(call, &err);
}
