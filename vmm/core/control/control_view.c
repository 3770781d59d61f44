/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/control_view.h"

#include <string.h>

#include "vmm/core/control/vm_parts.h"

unsigned control_view_vcpu_threads(const struct vm *vm, int32_t *threads, unsigned capacity)
{
	unsigned count = vm->vcpus && !vm->ending ? vcpu_set_count(vm->vcpus) : 0;

	if (count > capacity)
		count = capacity;
	for (unsigned i = 0; i < count; i++)
		threads[i] = vcpu_set_thread_id(vm->vcpus, i);
	return count;
}

bool control_view_is_restoring(const struct vm *vm)
{
	return vm->restore != NULL;
}

unsigned control_view_device_count(const struct vm *vm)
{
	return vm->device_count;
}

struct worker_device *control_view_device(const struct vm *vm, unsigned index)
{
	return vm->devices[index];
}

struct worker_device *control_view_find_device(const struct vm *vm, const char *id)
{
	for (unsigned i = 0; i < vm->device_count; i++)
		if (strcmp(worker_device_id(vm->devices[i]), id) == 0)
			return vm->devices[i];
	return NULL;
}

int control_view_pci_slot(const struct worker_device *device)
{
	const struct virtio_pci *transport = worker_device_transport(device);

	return transport ? (int)virtio_pci_slot(transport) : -1;
}

const char *control_view_device_state(const struct worker_device *device)
{
	static const char *const names[] = {
		[WORKER_DEVICE_STARTING] = "starting", [WORKER_DEVICE_READY] = "ready",
		[WORKER_DEVICE_ACTIVE] = "active",     [WORKER_DEVICE_QUIESCED] = "quiesced",
		[WORKER_DEVICE_FAILED] = "failed",
	};

	return names[worker_device_state(device)];
}
