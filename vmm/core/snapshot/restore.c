/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of a restore. */
#include "vmm/core/snapshot/restore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/on_demand_memory.h"
#include "vmm/core/snapshot/restore_parts.h"

static void restore_free(struct restore *restore)
{
	restore->vm->restore = NULL;
	snapshot_reader_destroy(restore->reader);
	free(restore);
}

static void restore_fail(struct restore *restore, const struct error *err)
{
	struct vm *vm = restore->vm;
	struct error failure = *err;

	error_prefix(&failure, "restore");
	restore_free(restore);
	vm_fail_start(vm, &failure);
}

static int restore_queue_work(struct restore *restore, uv_work_cb work, uv_after_work_cb after,
			      struct error *err)
{
	int result;

	restore->work.data = restore;
	result = uv_queue_work(restore->vm->options.loop, &restore->work, work, after);
	if (result < 0)
		return error_set_errno(err, result, "cannot start a thread");
	restore->working = true;
	return 0;
}

/* The thread is done. False: it failed, or the VM has to end; the restore is over and freed. */
static bool restore_work_is_over(struct restore *restore)
{
	struct vm *vm = restore->vm;

	restore->working = false;
	if (restore->abandoned) {
		(void)vm_work_has_ended_vm(vm);
		return false;
	}
	if (restore->failure.code) {
		restore_fail(restore, &restore->failure);
		return false;
	}
	return true;
}

static void restore_on_activated(void *opaque, struct worker_device *device,
				 const struct error *err)
{
	struct restore *restore = opaque;
	struct vm *vm = restore->vm;

	(void)device;
	if (err && !restore->failure.code)
		restore->failure = *err;
	if (--restore->waiting || restore->abandoned)
		return;
	if (restore->failure.code) {
		restore_fail(restore, &restore->failure);
		return;
	}
	restore_free(restore);
	vm_enter_state(vm, VM_PAUSED);
	vm_finish(vm, NULL);
}

static void restore_activate(struct restore *restore)
{
	struct vm *vm = restore->vm;
	struct error err = ERROR_INIT;

	restore->waiting = vm->device_count + 1;
	for (unsigned i = 0; i < vm->device_count; i++)
		if (worker_device_activate_restored(vm->devices[i], restore_on_activated, restore,
						    &err) < 0)
			restore_on_activated(restore, vm->devices[i], &err);
	restore_on_activated(restore, NULL, NULL);
}

/* On a thread of the loop's pool, for it may wait for memory that is served on demand. */
static void restore_touch_work(uv_work_t *work)
{
	struct restore *restore = work->data;

	if (restore_vcpus(restore, &restore->failure) == 0)
		(void)restore_generation_id(restore, &restore->failure);
}

static void restore_after_touch(uv_work_t *work, int status)
{
	struct restore *restore = work->data;

	(void)status;
	if (!restore_work_is_over(restore))
		return;
	platform_notify_vmgenid(restore->vm->platform);
	restore_activate(restore);
}

static void restore_continue(struct restore *restore)
{
	struct error err = ERROR_INIT;

	if (!restore->devices_ready || !restore->memory_ready || restore->abandoned)
		return;
	if (restore_devices(restore, &err) < 0 || restore_machine(restore, &err) < 0 ||
	    restore_queue_work(restore, restore_touch_work, restore_after_touch, &err) < 0)
		restore_fail(restore, &err);
}

/* ---- memory
 * -----------------------------------------------------------------------------------------------
 */

/* On a thread of the loop's pool. */
static void restore_work(uv_work_t *work)
{
	struct restore *restore = work->data;
	const Bulkhead__Snapshot__Manifest *manifest = restore->reader->manifest;

	for (unsigned i = 0; i < restore->vm->memory.region_count; i++) {
		struct memory_index index = manifest_memory_index(manifest->memory[i]);

		if (memory_file_read(&restore->vm->memory.regions[i],
				     restore->reader->memory_fds[i], &index, &restore->progress,
				     &restore->failure) < 0) {
			error_prefix(&restore->failure, "memory-region-%u", i);
			return;
		}
	}
}

static void restore_after_work(uv_work_t *work, int status)
{
	struct restore *restore = work->data;

	(void)status;
	if (!restore_work_is_over(restore))
		return;
	restore->memory_ready = true;
	restore_continue(restore);
}

static void restore_on_pager_ready(struct vm *vm, const struct error *err)
{
	if (!vm->restore || vm->restore->abandoned)
		return;
	if (err) {
		restore_fail(vm->restore, err);
		return;
	}
	vm->restore->memory_ready = true;
	restore_continue(vm->restore);
}

/* Have memory read, or served on demand, if this host is fit. There is no machine yet. */
int vm_restore_start_memory(struct vm *vm, struct error *err)
{
	struct restore *restore = vm->restore;

	if (vm->device_count != restore->reader->manifest->n_devices)
		return error_set(err, -EINVAL, "the snapshot has %zu devices, its configuration %u",
				 restore->reader->manifest->n_devices, vm->device_count);
	if (restore_check_host(restore, err) < 0)
		return err->code;
	if (restore->options.on_demand)
		return on_demand_memory_start(vm, restore->reader,
					      restore->options.prefault ||
						      restore->vm->config->memory->prefault,
					      restore_on_pager_ready, err);
	return restore_queue_work(restore, restore_work, restore_after_work, err);
}

/* ---- the beginning
 * ---------------------------------------------------------------------------------------- */

void vm_restore_devices_ready(struct vm *vm)
{
	vm->restore->devices_ready = true;
	restore_continue(vm->restore);
}

/* Hand a starting worker its blob; -1: the snapshot does not know the device. */
int vm_restore_saved_state(struct vm *vm, const char *id, const char *kind, const uint8_t **state,
			   size_t *bytes, struct error *err)
{
	int index = restore_find_device(vm->restore, id);
	const Bulkhead__Snapshot__Manifest *manifest = vm->restore->reader->manifest;

	if (index < 0 || strcmp(manifest->devices[index]->kind, kind) != 0)
		return error_set(err, -EINVAL, "device \"%s\": the snapshot has no such %s device",
				 id, kind);
	*state = vm->restore->reader->devices[index]->worker_state.data;
	*bytes = vm->restore->reader->devices[index]->worker_state.len;
	return 0;
}

bool vm_restore_is_on_demand(const struct vm *vm)
{
	return vm->restore && vm->restore->options.on_demand;
}

bool vm_restore_is_working(const struct vm *vm)
{
	return vm->restore && vm->restore->working;
}

/* Its thread is told to stop, and workers may still answer to it: freed by vm_restore_forget(). */
void vm_restore_abandon(struct vm *vm)
{
	if (!vm->restore)
		return;
	vm->restore->abandoned = true;
	atomic_store(&vm->restore->progress.cancelled, true);
}

void vm_restore_forget(struct vm *vm)
{
	if (vm->restore)
		restore_free(vm->restore);
}

int vm_restore(struct vm *vm, struct snapshot_reader *reader, const struct restore_options *options,
	       vm_done_fn done, void *opaque, struct error *err)
{
	struct restore *restore = calloc(1, sizeof(*restore));

	if (!restore) {
		snapshot_reader_destroy(reader);
		return error_set(err, -ENOMEM, "out of memory");
	}
	restore->vm = vm;
	restore->reader = reader;
	restore->options = *options;
	vm->restore = restore;
	if (vm_start_machine(vm, done, opaque, err) < 0) { /* it did not even begin */
		restore_free(restore);
		return err->code;
	}
	return 0;
}
