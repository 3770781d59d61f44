/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up. The workers are asked for first, so that the broker starts them while the machine is
 * made; the kernel is loaded and the vCPUs run when the last worker is configured.
 */
#include <errno.h>

#include "ipc/log.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/on_demand_memory.h"

#define FIRST_LOCK_PAUSE_MS 1U
#define LAST_LOCK_PAUSE_MS  256U /* half a second in all */

/* ---- devices
 * ------------------------------------------------------------------------------------------ */

/* Slots follow the configuration's order, whichever worker was ready first. */
static int vm_plug_devices(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < vm->device_count; i++)
		if (worker_device_plug(vm->devices[i], vm->kvm, vm->pci, (int)i + 1, err) < 0)
			return err->code;
	return 0;
}

static void vm_on_loaded(struct vm *vm, const struct error *err)
{
	if (vm_work_has_ended_vm(vm))
		return;
	if (err)
		vm_fail_start(vm, err);
	else
		vm_run_loaded(vm);
}

static void vm_continue_boot(struct vm *vm)
{
	struct error err = ERROR_INIT;

	if (vm_plug_devices(vm, &err) < 0)
		vm_fail_start(vm, &err);
	else
		vm_machine_load(vm, vm_on_loaded);
}

static void vm_on_one_ready(struct vm *vm)
{
	if (--vm->devices_waited_for)
		return;
	if (vm->restore)
		vm_restore_devices_ready(vm);
	else
		vm_continue_boot(vm);
}

static void vm_on_device_ready(void *opaque, struct worker_device *device, const struct error *err)
{
	struct vm *vm = opaque;

	(void)device;
	if (vm->ending)
		return;
	if (err && vm->starting) {
		if (!vm->start_failure.code)
			vm->start_failure = *err;
	} else if (err)
		vm_fail_start(vm, err);
	else
		vm_on_one_ready(vm);
}

static void vm_on_device_failed(void *opaque, struct worker_device *device, const struct error *err)
{
	struct vm *vm = opaque;

	vm_snapshot_device_failed(vm, err);
	vm->options.events->device_failed(vm->options.opaque, vm, worker_device_id(device), err);
}

/* A device that is quiesced is still the driver's. */
static void vm_on_device_changed(void *opaque, struct worker_device *device)
{
	enum worker_device_state state = worker_device_state(device);
	struct vm *vm = opaque;
	bool active = state == WORKER_DEVICE_ACTIVE;

	log_debug("device \"%s\": state %d", worker_device_id(device), (int)state);
	if (!vm->options.events->device_active || (!active && state != WORKER_DEVICE_READY))
		return;
	for (unsigned i = 0; i < vm->device_count; i++) {
		if (vm->devices[i] != device || vm->devices_active[i] == active)
			continue;
		vm->devices_active[i] = active;
		vm->options.events->device_active(vm->options.opaque, vm, worker_device_id(device),
						  active);
	}
}

static int vm_on_device_on_demand(void *opaque, struct worker_device *device, int userfaultfd,
				  const uint64_t *region_addresses, size_t region_count,
				  struct error *err)
{
	return on_demand_memory_add_worker(opaque, device, userfaultfd, region_addresses,
					   region_count, err);
}

const struct worker_device_events vm_device_events = {
	.ready = vm_on_device_ready,
	.failed = vm_on_device_failed,
	.changed = vm_on_device_changed,
	.on_demand = vm_on_device_on_demand,
};

static void vm_on_made(struct vm *vm, const struct error *err)
{
	if (vm_work_has_ended_vm(vm))
		return;
	if (err)
		vm_fail_start(vm, err);
	else
		vm_on_one_ready(vm);
}

/*
 * What other processes and threads take part in is begun before the machine is made, which waits
 * for the kernel most of its time. While the broker starts the workers it answers nothing else:
 * nothing is asked of it behind that.
 */
static int vm_start_all(struct vm *vm, struct error *err)
{
	if (vm_resources_open(vm, err) < 0 || vm_create_memory(vm, err) < 0 ||
	    vm_devices_start(vm, err) < 0)
		return err->code;
	if (vm->start_failure
		    .code) { /* of a worker, while the broker was asked for something else */
		*err = vm->start_failure;
		return err->code;
	}
	if ((vm->restore && vm_restore_start_memory(vm, err) < 0) ||
	    vm_create_platform(vm, err) < 0)
		return err->code;
	return 0;
}

static void vm_on_lock_timer(uv_timer_t *timer);

/*
 * A VM that has just ended may hold its locks a little longer than it lives: the kernel closes the
 * files of an io_uring instance after its process is gone. That is worth some tries, with pauses
 * that double. 1: there will be another one; 0: everything has begun.
 */
static int vm_start_try(struct vm *vm, struct error *err)
{
	int result;

	vm->starting = true;
	vm->start_failure = (struct error)ERROR_INIT;
	result = vm_resources_open_locked(vm, err);
	if (result == -ETXTBSY && vm->lock_pause_ms <= LAST_LOCK_PAUSE_MS) {
		uv_timer_start(&vm->lock_timer, vm_on_lock_timer, vm->lock_pause_ms, 0);
		vm->lock_pause_ms *= 2;
		result = 1;
	} else if (result == 0) {
		result = vm_start_all(vm, err);
	}
	vm->starting = false;
	if (result >= 0 && vm->start_failure.code) {
		*err = vm->start_failure;
		result = err->code;
	}
	if (result == 0)
		vm_machine_make(vm, vm_on_made);
	return result;
}

static void vm_on_lock_timer(uv_timer_t *timer)
{
	struct vm *vm = timer->data;
	struct error err = ERROR_INIT;

	if (vm_start_try(vm, &err) < 0)
		vm_fail_start(vm, &err);
}

static int vm_start_declare(struct vm *vm, struct error *err)
{
	if (vm_resources_declare(vm, err) < 0)
		return err->code;
	return vm->options.seal_broker ? broker_seal(vm->options.broker, err) : 0;
}

int vm_start_machine(struct vm *vm, vm_done_fn done, void *opaque, struct error *err)
{
	if (vm->state != VM_CREATED && vm->state != VM_SHUTDOWN)
		return error_set(err, -EINVAL, "cannot boot: the VM is %s",
				 vm_state_name(vm->state));
	if (vm_begin(vm, done, opaque, err) < 0)
		return err->code;
	vm->event_reset = vm->event_end = false;
	vm_enter_state(vm, VM_BOOTING);
	/* One more than there are devices: the machine. */
	vm->devices_waited_for = 1;
	vm->lock_pause_ms = FIRST_LOCK_PAUSE_MS;
	vm->done_failure = (struct error)ERROR_INIT;
	if (vm_start_declare(vm, err) < 0 || vm_start_try(vm, err) < 0)
		vm_fail_start(vm, err);
	return 0;
}

int vm_boot(struct vm *vm, vm_done_fn done, void *opaque, struct error *err)
{
	return vm_start_machine(vm, done, opaque, err);
}
