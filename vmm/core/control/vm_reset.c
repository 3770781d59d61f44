/* SPDX-License-Identifier: Apache-2.0 */
/* Reset: vCPUs parked, then every worker, then the machine, then the kernel again. */
#include <errno.h>

#include "ipc/log.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/on_demand_memory.h"

static void vm_reset_fail(struct vm *vm, const struct error *err)
{
	log_error("reset failed: %s", err->message);
	(void)vm_shutdown(vm, VM_END_FAILURE, err);
}

static void vm_on_reloaded(struct vm *vm, const struct error *err)
{
	if (vm_work_has_ended_vm(vm))
		return;
	if (err)
		vm_reset_fail(vm, err);
	else
		vm_run_loaded(vm);
}

/* Memory is complete: the kernel can be loaded into it. */
static void vm_reset_machine(struct vm *vm, const struct error *lost)
{
	struct error err = ERROR_INIT;

	if (vm->state != VM_RESETTING || vm->ending)
		return;
	if (lost) {
		vm_reset_fail(vm, lost);
		return;
	}
	for (unsigned i = 0; i < vm->device_count; i++)
		if (worker_device_transport(vm->devices[i]))
			virtio_pci_power_on_reset(worker_device_transport(vm->devices[i]));
	pci_bus_set_address(vm->pci, 0);
	platform_reset(vm->platform);
	if (irqchip_apply(kvm_vm_fd(vm->kvm), &vm->irqchip_power_on, &err) < 0 ||
	    vcpu_set_power_on_reset(vm->vcpus, &err) < 0)
		vm_reset_fail(vm, &err);
	else
		vm_machine_load(vm, vm_on_reloaded);
}

static void vm_on_device_reset(void *opaque, struct worker_device *device, const struct error *err)
{
	struct vm *vm = opaque;

	/* A worker that cannot be reset was cut off already; the machine comes up without it. */
	(void)device;
	(void)err;
	vm_reset_device_done(vm);
}

void vm_reset_device_done(struct vm *vm)
{
	if (--vm->devices_waited_for == 0 && vm->state == VM_RESETTING && !vm->ending)
		on_demand_memory_when_complete(vm, vm_reset_machine);
}

void vm_reset_parked(struct vm *vm)
{
	struct error err = ERROR_INIT;

	if (vm->devices_waited_for)
		return; /* under way */
	vm->devices_waited_for = vm->device_count + 1;
	for (unsigned i = 0; i < vm->device_count; i++) {
		if (worker_device_reset(vm->devices[i], vm_on_device_reset, vm, &err) == 0)
			continue;
		worker_device_fail(vm->devices[i], &err);
		vm_reset_device_done(vm);
	}
	vm_reset_device_done(vm);
}
