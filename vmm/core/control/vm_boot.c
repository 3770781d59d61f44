/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up. The workers are asked for first, so that the broker starts them while the core creates
 * the KVM machine; the kernel is loaded and the vCPUs run when the last worker is configured.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ipc/log.h"
#include "vmm/core/boot/x86_64/vcpu_entry.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/memory/vm_memory.h"
#include "vmm/core/snapshot/on_demand_memory.h"

/* ---- what vCPU threads report: only noted here, carried out by vm_on_event() on the loop
 * ------------- */

static void vm_note_end(struct vm *vm, enum vm_end why, const char *text)
{
	pthread_mutex_lock(&vm->event_lock);
	if (!vm->event_end) {
		vm->event_end = true;
		vm->event_end_why = why;
		error_set(&vm->event_end_text, -EIO, "%s", text);
	}
	pthread_mutex_unlock(&vm->event_lock);
	task_post(&vm->tasks, &vm->event_task);
}

static void vm_on_all_parked(void *opaque)
{
	struct vm *vm = opaque;

	task_post(&vm->tasks, &vm->parked_task);
}

static void vm_on_vcpu_fatal(void *opaque, unsigned index, enum vcpu_fatal what, const char *text)
{
	static const enum vm_end ends[] = {
		[VCPU_FATAL_TRIPLE_FAULT] = VM_END_TRIPLE_FAULT,
		[VCPU_FATAL_EMULATION] = VM_END_EMULATION,
		[VCPU_FATAL_INTERNAL] = VM_END_FAILURE,
	};
	char message[256];

	(void)snprintf(message, sizeof(message), "vCPU %u: %s", index, text);
	vm_note_end(opaque, ends[what], message);
}

static void vm_on_guest_power_off(void *opaque)
{
	vm_note_end(opaque, VM_END_POWER_OFF, "powered off by the guest");
}

static void vm_on_guest_panic(void *opaque)
{
	vm_note_end(opaque, VM_END_PANIC, "the guest's kernel panicked");
}

static void vm_on_guest_reset(void *opaque)
{
	struct vm *vm = opaque;

	pthread_mutex_lock(&vm->event_lock);
	vm->event_reset = true;
	pthread_mutex_unlock(&vm->event_lock);
	/* This vCPU must not run past the instruction that asked for the reset. */
	vcpu_set_park(vm->vcpus);
	task_post(&vm->tasks, &vm->event_task);
}

static void vm_set_irq(void *opaque, uint32_t gsi, bool level)
{
	struct vm *vm = opaque;

	kvm_irq_line_set(vm->kvm, gsi, level);
}

/* ---- the machine
 * ------------------------------------------------------------------------------------- */

static int vm_create_memory(struct vm *vm, struct error *err)
{
	const Bulkhead__Config__Memory *config = vm->config->memory;
	/* Pages that are made now would have to be given back before the pager can serve them. */
	bool on_demand = vm_restore_is_on_demand(vm);
	struct vm_memory_options options = {
		.size_bytes = config->size_bytes,
		.hugepages = config->hugepages,
		.thp = config->thp && !on_demand,
		.prefault = config->prefault && !on_demand,
		.file_fd = vm->files.memory,
	};

	return vm_memory_create(&vm->memory, &options, err);
}

static int vm_attach_serial(struct vm *vm, struct error *err)
{
	struct serial_backend_options options = {
		.kind = SERIAL_BACKEND_STREAM,
		.input_fd = vm->files.serial_input,
		.output_fd = vm->files.serial_output,
	};

	if (options.input_fd < 0 && options.output_fd < 0)
		return 0;
	if (vm->config->serial->mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY)
		options.kind = SERIAL_BACKEND_PTY;
	else if (vm->config->serial->mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET)
		options.kind = SERIAL_BACKEND_SOCKET;
	return platform_attach_serial(vm->platform, &options, err);
}

static int vm_create_platform(struct vm *vm, struct error *err)
{
	struct platform_options options = {
		.loop = vm->options.loop,
		.ram_below_hole_bytes = vm->memory.regions[0].size_bytes,
		.ram_above_hole_bytes =
			vm->memory.region_count > 1 ? vm->memory.regions[1].size_bytes : 0,
		.no_serial = vm->config->serial->mode == BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF,
		.set_irq = vm_set_irq,
		.power_off = vm_on_guest_power_off,
		.reset = vm_on_guest_reset,
		.panic = vm_on_guest_panic,
		.opaque = vm,
	};

	vm->pio = bus_new("port I/O");
	vm->mmio = bus_new("MMIO");
	if (!vm->pio || !vm->mmio)
		return error_set(err, -ENOMEM, "out of memory");
	vm->pci = pci_bus_new(vm->pio, vm->mmio, err);
	if (!vm->pci)
		return err->code;
	vm->platform = platform_new(vm->pio, vm->mmio, &options, err);
	return vm->platform ? vm_attach_serial(vm, err) : err->code;
}

static int vm_create_vcpus(struct vm *vm, struct error *err)
{
	struct vcpu_set_options options = {
		.vm = vm->kvm,
		.pio = vm->pio,
		.mmio = vm->mmio,
		.count = vm->config->cpus->boot,
		.max = vm->config->cpus->max,
		.seccomp = vm->options.seccomp,
		.opaque = vm,
		.all_parked = vm_on_all_parked,
		.fatal = vm_on_vcpu_fatal,
	};

	vm->vcpus = vcpu_set_new(&options, err);
	return vm->vcpus ? 0 : err->code;
}

int vm_machine_create(struct vm *vm, struct error *err)
{
	vm->kvm = kvm_vm_new(vm->files.kvm, err);
	if (!vm->kvm)
		return err->code;
	if (vm_memory_attach(&vm->memory, vm->kvm, err) < 0 || vm_create_platform(vm, err) < 0 ||
	    vm_create_vcpus(vm, err) < 0)
		return err->code;
	return irqchip_capture(kvm_vm_fd(vm->kvm), &vm->irqchip_power_on, err);
}

void vm_machine_destroy(struct vm *vm)
{
	vcpu_set_destroy(vm->vcpus);
	platform_destroy(vm->platform);
	pci_bus_destroy(vm->pci);
	bus_destroy(vm->pio);
	bus_destroy(vm->mmio);
	kvm_vm_destroy(vm->kvm);
	guest_memory_destroy(&vm->memory);
	vm->vcpus = NULL;
	vm->platform = NULL;
	vm->pci = NULL;
	vm->pio = vm->mmio = NULL;
	vm->kvm = NULL;
}

static int vm_set_entry(struct vm *vm, struct error *err)
{
	int fd = vcpu_set_fd(vm->vcpus, 0);
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_REGS, &regs) < 0 || ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return error_set_errno(err, -errno, "cannot read the boot processor's registers");
	boot_vcpu_registers(&vm->entry, &regs, &sregs);
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return error_set_errno(err, -errno, "cannot set the boot processor's registers");
	return 0;
}

int vm_load_and_run(struct vm *vm, struct error *err)
{
	struct boot_request request = {
		.kernel_fd = vm->files.kernel,
		.initramfs_fd = vm->files.initramfs,
		.kernel_path = vm->config->payload->kernel,
		.initramfs_path = vm->config->payload->initramfs,
		.cmdline = vm->config->payload->cmdline,
		.cpus_boot = vm->config->cpus->boot,
		.cpus_max = vm->config->cpus->max,
	};

	if (vm->files.kernel < 0)
		return error_set(err, -ENOENT, "there is no kernel to start");
	if (boot_load(&request, &vm->memory, &vm->entry, err) < 0) {
		/* It is the guest's memory that is too small, which is for the operator to set. */
		if (err->code == -ENOMEM)
			err->code = -E2BIG;
		return err->code;
	}
	if (vm_set_entry(vm, err) < 0)
		return err->code;
	vm_enter_state(vm, VM_RUNNING);
	vcpu_set_run(vm->vcpus);
	return 0;
}

/* ---- devices
 * ------------------------------------------------------------------------------------------ */

static void vm_boot_fail(struct vm *vm, const struct error *err)
{
	vm_finish(vm, err);
	(void)vm_shutdown(vm, VM_END_FAILURE, err);
}

/* Slots follow the configuration's order, whichever worker was ready first. */
static int vm_plug_devices(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < vm->device_count; i++)
		if (worker_device_plug(vm->devices[i], vm->kvm, vm->pci, (int)i + 1, err) < 0)
			return err->code;
	return 0;
}

static void vm_continue_boot(struct vm *vm)
{
	struct error err = ERROR_INIT;

	if (vm_plug_devices(vm, &err) < 0 || vm_load_and_run(vm, &err) < 0) {
		vm_boot_fail(vm, &err);
		return;
	}
	vm_finish(vm, NULL);
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
		vm_boot_fail(vm, err);
	else
		vm_on_one_ready(vm);
}

static void vm_on_device_failed(void *opaque, struct worker_device *device, const struct error *err)
{
	struct vm *vm = opaque;

	vm_snapshot_device_failed(vm, err);
	vm->options.events->device_failed(vm->options.opaque, vm, worker_device_id(device), err);
}

static void vm_on_device_changed(void *opaque, struct worker_device *device)
{
	(void)opaque;
	log_debug("device \"%s\": state %d", worker_device_id(device),
		  (int)worker_device_state(device));
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

/*
 * What other processes and threads take part in is begun before the machine is made, which waits
 * for the kernel most of its time. While the broker starts the workers it answers nothing else:
 * nothing is asked of it behind that.
 */
static int vm_start_all(struct vm *vm, struct error *err)
{
	int result = 0;

	vm->starting = true;
	vm->start_failure = (struct error)ERROR_INIT;
	if (vm_resources_declare(vm, err) < 0 ||
	    (vm->options.seal_broker && broker_seal(vm->options.broker, err) < 0) ||
	    vm_resources_open(vm, err) < 0 || vm_create_memory(vm, err) < 0 ||
	    vm_devices_start(vm, err) < 0 ||
	    (vm->restore && vm_restore_start_memory(vm, err) < 0) || vm_machine_create(vm, err) < 0)
		result = err->code;
	vm->starting = false;
	if (result == 0 && vm->start_failure.code) {
		*err = vm->start_failure;
		result = err->code;
	}
	return result;
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
	/* One more than there are devices, so that none of them can be the last one yet. */
	vm->devices_waited_for = 1;
	if (vm_start_all(vm, err) < 0) {
		vm->done = NULL;
		(void)vm_shutdown(vm, VM_END_FAILURE, err);
		return err->code;
	}
	vm_on_one_ready(vm);
	return 0;
}

int vm_boot(struct vm *vm, vm_done_fn done, void *opaque, struct error *err)
{
	return vm_start_machine(vm, done, opaque, err);
}
