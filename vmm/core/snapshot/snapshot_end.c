/* SPDX-License-Identifier: Apache-2.0 */
/* How a snapshot ends: well, with a failure, cancelled, or with its VM. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/on_demand_memory.h"
#include "vmm/core/snapshot/snapshot_parts.h"
#include "vmm/core/workers/broker_snapshot.h"

#define IMPATIENCE_MS	       500   /* of a VM that ends */
#define LATE_RESUME_TIMEOUT_MS 60000 /* of a worker that was too late for a snapshot */

static void snapshot_free(struct snapshot *snapshot)
{
	for (unsigned i = 0; i < VM_MAX_DEVICES; i++)
		free(snapshot->devices[i].worker_state);
	for (unsigned i = 0; i < snapshot->file_count; i++) {
		free(snapshot->files[i].data);
		fd_close(&snapshot->files[i].fd);
	}
	for (unsigned i = 0; i < GUEST_MEMORY_MAX_REGIONS; i++)
		fd_close(&snapshot->memory_fds[i]);
	fd_close(&snapshot->manifest_fd);
	manifest_free(snapshot->manifest);
	free(snapshot);
}

static void snapshot_on_timer_closed(uv_handle_t *handle)
{
	snapshot_free(handle->data);
}

static void snapshot_finish(struct snapshot *snapshot)
{
	struct vm *vm = snapshot->vm;
	struct error failure = snapshot->failure;
	struct snapshot_status *status = snapshot->status;

	status->done_bytes = atomic_load(&snapshot->progress.done_bytes);
	status->stored_bytes = atomic_load(&snapshot->progress.stored_bytes);
	status->error = failure;
	status->phase = !failure.code		     ? SNAPSHOT_COMPLETED
			: failure.code == -ECANCELED ? SNAPSHOT_CANCELLED
						     : SNAPSHOT_FAILED;
	vm->snapshot = NULL;
	uv_close((uv_handle_t *)&snapshot->timer, snapshot_on_timer_closed);
	vm_enter_state(vm, VM_PAUSED);
	if (failure.code)
		log_error("snapshot %s", failure.message);
	vm_finish(vm, failure.code ? &failure : NULL);
	(void)vm_work_has_ended_vm(vm);
}

static void snapshot_on_resumed(void *opaque, struct worker_device *device, const struct error *err)
{
	struct snapshot *snapshot = opaque;

	/* The snapshot stands; a worker that cannot go on is lost like any other. */
	if (err)
		worker_device_fail(device, err);
	if (--snapshot->waiting == 0)
		snapshot_finish(snapshot);
}

static void snapshot_on_late_resumed(void *opaque, struct worker_device *device,
				     const struct error *err)
{
	(void)opaque;
	if (err)
		worker_device_fail(device, err);
}

/* Nobody waits for it. Until it answers, the VM can run, and take no other snapshot. */
static void snapshot_resume_late(struct worker_device *device)
{
	struct error err = ERROR_INIT;

	if (worker_device_resume(device, LATE_RESUME_TIMEOUT_MS, snapshot_on_late_resumed, NULL,
				 &err) < 0)
		worker_device_fail(device, &err);
}

static void snapshot_resume_workers(struct snapshot *snapshot)
{
	struct vm *vm = snapshot->vm;
	struct error err = ERROR_INIT;

	snapshot_enter(snapshot, SNAPSHOT_RESUME);
	if (vm->end_after_work) { /* they go on with nothing */
		snapshot_finish(snapshot);
		return;
	}
	snapshot->waiting = 1;
	for (unsigned i = 0; i < vm->device_count; i++) {
		if (!snapshot->devices[i].quiesced ||
		    worker_device_state(vm->devices[i]) == WORKER_DEVICE_FAILED)
			continue;
		if (snapshot->devices[i].late) {
			snapshot_resume_late(vm->devices[i]);
			continue;
		}
		snapshot->waiting++;
		if (worker_device_resume(vm->devices[i], WORKER_RESUME_TIMEOUT_MS,
					 snapshot_on_resumed, snapshot, &err) < 0)
			snapshot_on_resumed(snapshot, vm->devices[i], &err);
	}
	if (--snapshot->waiting == 0)
		snapshot_finish(snapshot);
}

void snapshot_note_failure(struct snapshot *snapshot, const struct error *err)
{
	/* Once it is committed it stands, whatever becomes of the workers afterwards. */
	if (snapshot->failure.code || snapshot->status->phase == SNAPSHOT_RESUME)
		return;
	snapshot->failure = *err;
	error_prefix(&snapshot->failure, "%s", snapshot->path);
	atomic_store(&snapshot->progress.cancelled, true);
}

void snapshot_unwind(struct snapshot *snapshot)
{
	struct error err = ERROR_INIT;

	if (snapshot->directory_open &&
	    broker_snapshot_close(snapshot->vm->options.broker, &err) < 0)
		log_warning("snapshot %s: %s", snapshot->path, err.message);
	snapshot->directory_open = false;
	snapshot_resume_workers(snapshot);
}

int vm_snapshot_cancel(struct vm *vm, struct error *err)
{
	struct error cancelled = ERROR_INIT;

	if (!vm->snapshot)
		return error_set(err, -ENOENT, "no snapshot is being taken");
	error_set(&cancelled, -ECANCELED, "cancelled");
	snapshot_note_failure(vm->snapshot, &cancelled);
	if (vm->snapshot->waits_for_memory) {
		on_demand_memory_when_complete(vm, NULL);
		vm->snapshot->waits_for_memory = false;
		uv_timer_start(&vm->snapshot->timer, snapshot_settle, 0, 0);
	}
	return 0;
}

static bool snapshot_waits_for(const struct snapshot *snapshot, unsigned i)
{
	switch (snapshot->status->phase) {
	case SNAPSHOT_QUIESCE:
	case SNAPSHOT_RESUME:
		return !worker_device_is_idle(snapshot->vm->devices[i]);
	case SNAPSHOT_COLLECT:
		return !snapshot->devices[i].worker_state;
	default:
		return false;
	}
}

/* Those who have not answered by now are killed: what waits for them then ends. */
static void snapshot_on_impatience(uv_timer_t *timer)
{
	struct snapshot *snapshot = timer->data;
	struct vm *vm = snapshot->vm;
	struct error late = ERROR_INIT;
	bool hung[VM_MAX_DEVICES];
	unsigned count = vm->device_count;

	error_set(&late, -ETIMEDOUT, "does not answer, and the VM ends");
	for (unsigned i = 0; i < count; i++)
		hung[i] = snapshot_waits_for(snapshot, i);
	for (unsigned i = 0; i < count; i++)
		if (hung[i])
			worker_device_fail(vm->devices[i], &late);
}

void vm_snapshot_abandon(struct vm *vm)
{
	struct snapshot *snapshot = vm->snapshot;

	if (!snapshot)
		return;
	(void)vm_snapshot_cancel(vm, NULL);
	if (snapshot->status->phase == SNAPSHOT_QUIESCE ||
	    snapshot->status->phase == SNAPSHOT_COLLECT ||
	    snapshot->status->phase == SNAPSHOT_RESUME)
		uv_timer_start(&snapshot->timer, snapshot_on_impatience, IMPATIENCE_MS, 0);
}

void vm_snapshot_device_failed(struct vm *vm, const struct error *err)
{
	if (vm->snapshot)
		snapshot_note_failure(vm->snapshot, err);
}
