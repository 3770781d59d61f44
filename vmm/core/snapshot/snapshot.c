/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of taking a snapshot. */
#include "vmm/core/snapshot/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/snapshot/on_demand_memory.h"
#include "vmm/core/snapshot/snapshot_parts.h"
#include "vmm/core/workers/broker_snapshot.h"

#define QUIESCE_TIMEOUT_MS 10000 /* a disk may have a second of writes to finish and flush */
#define COLLECT_TIMEOUT_MS 5000
#define SETTLE_RETRY_MS	   5
#define SETTLE_TIMEOUT_MS  10000 /* for activations and resets that the guest asked for last */

static const char *const phase_names[] = {
	[SNAPSHOT_NONE] = "none",	[SNAPSHOT_SETUP] = "setup",
	[SNAPSHOT_QUIESCE] = "quiesce", [SNAPSHOT_COLLECT] = "collect",
	[SNAPSHOT_MEMORY] = "memory",	[SNAPSHOT_COMMIT] = "commit",
	[SNAPSHOT_RESUME] = "resume",	[SNAPSHOT_COMPLETED] = "completed",
	[SNAPSHOT_FAILED] = "failed",	[SNAPSHOT_CANCELLED] = "cancelled",
};

const char *snapshot_phase_name(enum snapshot_phase phase)
{
	return phase_names[phase];
}

uint64_t snapshot_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void vm_snapshot_status(const struct vm *vm, struct snapshot_status *status)
{
	*status = vm->snapshot_status;
	if (vm->snapshot) {
		status->done_bytes = atomic_load(&vm->snapshot->progress.done_bytes);
		status->stored_bytes = atomic_load(&vm->snapshot->progress.stored_bytes);
	}
}

void snapshot_enter(struct snapshot *snapshot, enum snapshot_phase phase)
{
	snapshot->status->phase = phase;
	snapshot->phase_started_ns = snapshot_now_ns();
	log_debug("snapshot: %s", snapshot_phase_name(phase));
}

static uint64_t snapshot_phase_ns(const struct snapshot *snapshot)
{
	return snapshot_now_ns() - snapshot->phase_started_ns;
}

/* ---- commit
 * -----------------------------------------------------------------------------------------------
 */

static void snapshot_after_commit(uv_timer_t *timer)
{
	snapshot_unwind(timer->data);
}

static void snapshot_on_committed(void *opaque, struct channel_message *message,
				  const struct error *err)
{
	struct snapshot *snapshot = opaque;

	if (!message)
		snapshot_note_failure(snapshot, err);
	else
		snapshot->failure = (struct error)ERROR_INIT; /* a cancel that came too late */
	snapshot->status->commit_ns = snapshot_phase_ns(snapshot);
	/* Not from here: a callback of the broker's channel cannot wait for the broker. */
	uv_timer_start(&snapshot->timer, snapshot_after_commit, 0, 0);
}

static void snapshot_commit(struct snapshot *snapshot)
{
	struct error err = ERROR_INIT;

	snapshot_enter(snapshot, SNAPSHOT_COMMIT);
	if (broker_snapshot_commit(snapshot->vm->options.broker, snapshot_on_committed, snapshot,
				   &err) == 0)
		return;
	snapshot_note_failure(snapshot, &err);
	snapshot_unwind(snapshot);
}

/* ---- memory
 * -----------------------------------------------------------------------------------------------
 */

/* On a thread of the loop's pool. */
static void snapshot_work(uv_work_t *work)
{
	struct snapshot *snapshot = work->data;

	(void)snapshot_store(snapshot, &snapshot->store_failure);
}

static void snapshot_after_work(uv_work_t *work, int status)
{
	struct snapshot *snapshot = work->data;

	(void)status;
	snapshot->status->memory_ns = snapshot_phase_ns(snapshot);
	if (snapshot->store_failure.code)
		snapshot_note_failure(snapshot, &snapshot->store_failure);
	if (snapshot->failure.code)
		snapshot_unwind(snapshot);
	else
		snapshot_commit(snapshot);
}

static void snapshot_write(struct snapshot *snapshot)
{
	struct error err = ERROR_INIT;
	int result;

	if (snapshot_collect_state(snapshot, &err) < 0 || snapshot_open_files(snapshot, &err) < 0) {
		snapshot_note_failure(snapshot, &err);
		snapshot_unwind(snapshot);
		return;
	}
	snapshot->status->state_ns = snapshot_phase_ns(snapshot);
	snapshot_enter(snapshot, SNAPSHOT_MEMORY);
	snapshot->work.data = snapshot;
	result = uv_queue_work(snapshot->vm->options.loop, &snapshot->work, snapshot_work,
			       snapshot_after_work);
	if (result < 0) {
		error_set_errno(&err, result, "cannot start writing");
		snapshot_note_failure(snapshot, &err);
		snapshot_unwind(snapshot);
	}
}

/* ---- workers
 * ---------------------------------------------------------------------------------------------- */

static void snapshot_on_collected(void *opaque, struct worker_device *device, const uint8_t *state,
				  size_t state_bytes, const struct error *err)
{
	struct snapshot *snapshot = opaque;
	struct error failure = ERROR_INIT;

	for (unsigned i = 0; i < snapshot->vm->device_count; i++) {
		struct snapshot_device *to = &snapshot->devices[i];

		if (snapshot->vm->devices[i] != device || err)
			continue;
		to->worker_state = malloc(state_bytes + 1);
		if (!to->worker_state) {
			error_set(&failure, -ENOMEM, "out of memory");
			break;
		}
		if (state_bytes)
			memcpy(to->worker_state, state, state_bytes);
		to->worker_state_bytes = state_bytes;
	}
	if (err || failure.code)
		snapshot_note_failure(snapshot, err ? err : &failure);
	if (--snapshot->waiting)
		return;
	if (snapshot->failure.code)
		snapshot_unwind(snapshot);
	else
		snapshot_write(snapshot);
}

static void snapshot_collect(struct snapshot *snapshot)
{
	struct vm *vm = snapshot->vm;
	struct error err = ERROR_INIT;

	snapshot->status->quiesce_ns = snapshot_phase_ns(snapshot);
	snapshot_enter(snapshot, SNAPSHOT_COLLECT);
	snapshot->waiting = vm->device_count + 1;
	for (unsigned i = 0; i < vm->device_count; i++)
		if (worker_device_save(vm->devices[i], COLLECT_TIMEOUT_MS, snapshot_on_collected,
				       snapshot, &err) < 0)
			snapshot_on_collected(snapshot, vm->devices[i], NULL, 0, &err);
	/* The one more: runs the continuation when there is no device at all. */
	snapshot_on_collected(snapshot, NULL, NULL, 0, NULL);
}

static void snapshot_on_quiesced(void *opaque, struct worker_device *device,
				 const struct error *err)
{
	struct snapshot *snapshot = opaque;

	for (unsigned i = 0; device && i < snapshot->vm->device_count; i++)
		if (snapshot->vm->devices[i] == device)
		/* One that was late may be on its way: it is told to resume all the same.
		 */
		{
			snapshot->devices[i].quiesced = true;
			snapshot->devices[i].late = err && err->code == -ETIMEDOUT;
		}
	if (err)
		snapshot_note_failure(snapshot, err);
	if (--snapshot->waiting)
		return;
	if (snapshot->failure.code)
		snapshot_unwind(snapshot);
	else
		snapshot_collect(snapshot);
}

static void snapshot_quiesce(struct snapshot *snapshot)
{
	struct vm *vm = snapshot->vm;
	struct error err = ERROR_INIT;

	snapshot_enter(snapshot, SNAPSHOT_QUIESCE);
	snapshot->waiting = vm->device_count + 1;
	for (unsigned i = 0; i < vm->device_count; i++) {
		/* A VM that was restored and never resumed: they stay as they are, now and
		 * afterwards. */
		if (worker_device_state(vm->devices[i]) == WORKER_DEVICE_QUIESCED) {
			snapshot->waiting--;
			continue;
		}
		if (worker_device_quiesce(vm->devices[i], QUIESCE_TIMEOUT_MS, snapshot_on_quiesced,
					  snapshot, &err) < 0) {
			snapshot_note_failure(snapshot, &err);
			snapshot->waiting--;
		}
	}
	snapshot_on_quiesced(snapshot, NULL, NULL);
}

/* ---- the beginning
 * ---------------------------------------------------------------------------------------- */

static bool snapshot_is_settled(const struct snapshot *snapshot)
{
	for (unsigned i = 0; i < snapshot->vm->device_count; i++)
		if (!worker_device_is_idle(snapshot->vm->devices[i]))
			return false;
	return true;
}

static void snapshot_on_memory_complete(struct vm *vm, const struct error *err)
{
	struct snapshot *snapshot = vm->snapshot;

	snapshot->waits_for_memory = false;
	if (err)
		snapshot_note_failure(snapshot, err);
	if (snapshot->failure.code)
		snapshot_unwind(snapshot);
	else
		snapshot_quiesce(snapshot);
}

/* Wait until no worker is in the middle of an activation or a reset that the guest asked for before
 * the pause. */
void snapshot_settle(uv_timer_t *timer)
{
	struct snapshot *snapshot = timer->data;
	struct error err = ERROR_INIT;

	if (snapshot->failure.code) {
		snapshot_unwind(snapshot);
	} else if (snapshot_is_settled(snapshot)) {
		/* A page that is still in another snapshot would be taken for a hole. */
		snapshot->waits_for_memory = true;
		on_demand_memory_when_complete(snapshot->vm, snapshot_on_memory_complete);
	} else if (snapshot_phase_ns(snapshot) > SETTLE_TIMEOUT_MS * 1000000ULL) {
		error_set(&err, -ETIMEDOUT, "a worker is busy with a reset or an activation");
		snapshot_note_failure(snapshot, &err);
		snapshot_unwind(snapshot);
	} else {
		uv_timer_start(timer, snapshot_settle, SETTLE_RETRY_MS, 0);
	}
}

static int snapshot_check(struct vm *vm, const char *path, struct error *err)
{
	if (vm->state != VM_PAUSED)
		return error_set(err, -EINVAL,
				 "cannot take a snapshot: the VM is %s; pause it first",
				 vm_state_name(vm->state));
	if (!path[0] || strlen(path) >= sizeof(((struct snapshot *)NULL)->path))
		return error_set(err, -EINVAL, "cannot take a snapshot: the path is %s",
				 path[0] ? "too long" : "empty");
	for (unsigned i = 0; i < vm->device_count; i++)
		if (worker_device_state(vm->devices[i]) == WORKER_DEVICE_FAILED)
			return error_set(
				err, -EIO,
				"cannot take a snapshot: device \"%s\" has lost its worker",
				worker_device_id(vm->devices[i]));
	return 0;
}

static struct snapshot *snapshot_new(struct vm *vm, const char *path)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return NULL;
	snapshot->vm = vm;
	snapshot->status = &vm->snapshot_status;
	snapshot->manifest_fd = -1;
	for (unsigned i = 0; i < GUEST_MEMORY_MAX_REGIONS; i++)
		snapshot->memory_fds[i] = -1;
	(void)snprintf(snapshot->path, sizeof(snapshot->path), "%s", path);
	*snapshot->status = (struct snapshot_status){
		.total_bytes = guest_memory_size_bytes(&vm->memory),
	};
	return snapshot;
}

/* The last one that was asked for is what is told of, unless another one is under way. */
static int snapshot_refused(struct vm *vm, const struct error *err)
{
	if (!vm->snapshot)
		vm->snapshot_status =
			(struct snapshot_status){.phase = SNAPSHOT_FAILED, .error = *err};
	return err->code;
}

int vm_snapshot(struct vm *vm, const char *path, vm_done_fn done, void *opaque, struct error *err)
{
	struct snapshot *snapshot;

	if (snapshot_check(vm, path, err) < 0 || vm_begin(vm, done, opaque, err) < 0)
		return snapshot_refused(vm, err);
	snapshot = snapshot_new(vm, path);
	if (!snapshot)
		error_set(err, -ENOMEM, "out of memory");
	if (!snapshot || broker_snapshot_open(vm->options.broker, path, true, err) < 0) {
		free(snapshot);
		vm->done = NULL;
		return snapshot_refused(vm, err);
	}
	snapshot->directory_open = true;
	vm->snapshot = snapshot;
	uv_timer_init(vm->options.loop, &snapshot->timer);
	snapshot->timer.data = snapshot;
	vm_enter_state(vm, VM_SNAPSHOTTING);
	snapshot_enter(snapshot, SNAPSHOT_SETUP);
	uv_timer_start(&snapshot->timer, snapshot_settle, 0, 0);
	return 0;
}
