/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/on_demand_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/memory_file.h"
#include "vmm/core/snapshot/pager_client.h"

#define SMALL_PAGE_BYTES 4096U
#define HUGE_PAGE_BYTES	 (2U << 20)

static void on_ready(void *opaque, const struct error *err)
{
	struct vm *vm = opaque;
	void (*ready)(struct vm *, const struct error *) = vm->memory_ready;

	vm->memory_ready = NULL;
	if (ready)
		ready(vm, err);
}

static void on_damaged(void *opaque, unsigned region, uint64_t offset, const char *reason)
{
	struct vm *vm = opaque;
	struct error damage = ERROR_INIT;

	error_set(&damage, -EIO,
		  "the snapshot's memory-region-%u is damaged at %" PRIu64
		  " (%s): the VM ends before it sees a wrong byte",
		  region, offset, reason);
	(void)vm_shutdown(vm, VM_END_FAILURE, &damage);
}

static void on_client_gone(void *opaque)
{
	struct vm *vm = opaque;
	on_demand_complete_fn complete = vm->memory_complete;
	void (*gone)(struct vm *) = vm->memory_gone;

	vm->pager = NULL;
	vm->memory_complete = NULL;
	vm->memory_gone = NULL;
	if (complete && !vm->ending)
		complete(vm, NULL);
	if (gone)
		gone(vm);
}

/* Everything is in memory: from here on it is like any other. */
static void on_prefault_done(void *opaque)
{
	struct vm *vm = opaque;

	log_info("memory is restored");
	vm->device_context.userfaultfd_device = -1;
	if (!vm->pager_ending) {
		vm->pager_ending = true;
		pager_client_destroy(vm->pager, on_client_gone, vm);
	}
}

static void on_restarted(void *opaque, const struct error *err)
{
	struct vm *vm = opaque;

	(void)vm;
	log_warning("the pager had died and was replaced: %s", err->message);
}

static void on_failed(void *opaque, const struct error *err)
{
	struct vm *vm = opaque;
	on_demand_complete_fn complete = vm->memory_complete;
	struct error ignored = ERROR_INIT;

	vm->memory_complete = NULL;
	log_error("the pager died and cannot be replaced; the VM pauses, restore it from the "
		  "snapshot "
		  "again: %s",
		  err->message);
	vm->options.events->device_failed(vm->options.opaque, vm, "pager", err);
	if (vm->restore) { /* something of it may be waiting for a page */
		vm_fail_start(vm, err);
		return;
	}
	if (vm->state == VM_RUNNING && vm_pause(vm, NULL, NULL, &ignored) < 0)
		log_warning("%s", ignored.message);
	if (complete)
		complete(vm, err);
}

static void on_process_failed(void *opaque, const char *name, const struct error *err)
{
	struct vm *vm = opaque;

	for (unsigned i = 0; i < vm->device_count; i++)
		if (strcmp(worker_device_id(vm->devices[i]), name) == 0)
			worker_device_fail(vm->devices[i], err);
}

static const struct pager_client_callbacks callbacks = {
	.ready = on_ready,
	.damaged = on_damaged,
	.prefault_done = on_prefault_done,
	.restarted = on_restarted,
	.failed = on_failed,
	.process_failed = on_process_failed,
};

int on_demand_memory_start(struct vm *vm, struct snapshot_reader *reader, bool prefault,
			   void (*ready)(struct vm *vm, const struct error *err), struct error *err)
{
	struct pager_client_options options = {
		.loop = vm->options.loop,
		.broker = vm->options.broker,
		.memory = &vm->memory,
		.userfaultfd_device = vm->files.userfaultfd,
		.region_count = vm->memory.region_count,
		.prefault = prefault,
		.callbacks = &callbacks,
		.opaque = vm,
	};

	for (unsigned i = 0; i < options.region_count; i++) {
		/* A page that is there already is never asked for. */
		if (memory_file_clear(&vm->memory.regions[i], err) < 0)
			return error_prefix(err, "memory on demand");
	}
	for (unsigned i = 0; i < options.region_count; i++) {
		options.regions[i].page_bytes =
			vm->config->memory->hugepages ? HUGE_PAGE_BYTES : SMALL_PAGE_BYTES;
		options.regions[i].index = manifest_memory_index(reader->manifest->memory[i]);
		options.regions[i].memory_fd = fd_steal(&reader->memory_fds[i]);
	}
	vm->memory_ready = ready;
	vm->pager_ending = false;
	vm->pager = pager_client_start(&options, err);
	return vm->pager ? 0 : error_prefix(err, "memory on demand");
}

int on_demand_memory_add_worker(struct vm *vm, struct worker_device *device, int userfaultfd,
				const uint64_t *region_addresses, size_t region_count,
				struct error *err)
{
	if (!vm->pager || vm->pager_ending) {
		/* Memory is complete, or at its end. */
		pager_client_release_process(vm->options.loop, &vm->memory, userfaultfd,
					     region_addresses, region_count);
		return 0;
	}
	return pager_client_add_process(vm->pager, worker_device_id(device), userfaultfd,
					region_addresses, region_count, err);
}

void on_demand_memory_when_complete(struct vm *vm, on_demand_complete_fn complete)
{
	struct error err = ERROR_INIT;

	if (!vm->pager && complete) {
		complete(vm, NULL);
		return;
	}
	vm->memory_complete = complete;
	if (complete && !vm->pager_ending && pager_client_prefault(vm->pager, true, &err) < 0) {
		vm->memory_complete = NULL;
		complete(vm, &err);
	}
}

bool on_demand_memory_is_lost(const struct vm *vm)
{
	return vm->pager && pager_client_has_failed(vm->pager);
}

void on_demand_memory_abandon(struct vm *vm)
{
	if (!vm->pager || vm->pager_ending)
		return;
	if (vm->vcpus)
		vcpu_set_park(vm->vcpus);
	pager_client_abandon(vm->pager);
}

void on_demand_memory_end(struct vm *vm, void (*gone)(struct vm *vm))
{
	if (!vm->pager) {
		gone(vm);
		return;
	}
	vm->memory_gone = gone;
	vm->memory_complete = NULL;
	if (vm->pager_ending)
		return;
	vm->pager_ending = true;
	pager_client_destroy(vm->pager, on_client_gone, vm);
}
