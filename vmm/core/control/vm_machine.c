/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: what is made of memory, KVM, buses and the platform, loaded, and taken apart. What
 * makes the loop wait for the kernel (vCPUs take it some ten milliseconds each, prefaulting
 * seconds) is done on the pool, by functions named vm_work_…: these touch nothing that the loop
 * looks at.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "vmm/core/boot/x86_64/vcpu_entry.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/memory/vm_memory.h"

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

	/* Nothing interrupts a machine that is not made yet. */
	if (vm->kvm)
		kvm_irq_line_set(vm->kvm, gsi, level);
}

/* ---- the machine
 * ------------------------------------------------------------------------------------- */

int vm_create_memory(struct vm *vm, struct error *err)
{
	const Bulkhead__Config__Memory *config = vm->config->memory;
	/* Pages that are made now would have to be given back before the pager can serve them. */
	bool on_demand = vm_restore_is_on_demand(vm);
	struct vm_memory_options options = {
		.size_bytes = config->size_bytes,
		.hugepages = config->hugepages,
		.thp = config->thp && !on_demand,
		.file_fd = vm->files.memory,
	};

	vm->prefault = config->prefault && !on_demand;
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

int vm_create_platform(struct vm *vm, struct error *err)
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

static int vm_create_vcpus(struct vm *vm, struct vm_made *made, struct error *err)
{
	struct vcpu_set_options options = {
		.vm = made->kvm,
		.pio = vm->pio,
		.mmio = vm->mmio,
		.count = vm->config->cpus->boot,
		.max = vm->config->cpus->max,
		.seccomp = vm->options.seccomp,
		.opaque = vm,
		.all_parked = vm_on_all_parked,
		.fatal = vm_on_vcpu_fatal,
	};

	made->vcpus = vcpu_set_new(&options, err);
	return made->vcpus ? 0 : err->code;
}

static int vm_work_make(struct vm *vm, struct error *err)
{
	struct vm_made *made = &vm->made;

	made->kvm = kvm_vm_new(vm->files.kvm, err);
	if (!made->kvm)
		return err->code;
	if (vm_memory_attach(&vm->memory, made->kvm, err) < 0 ||
	    vm_create_vcpus(vm, made, err) < 0 ||
	    irqchip_capture(kvm_vm_fd(made->kvm), &vm->irqchip_power_on, err) < 0)
		return err->code;
	return vm->prefault ? vm_memory_prefault(&vm->memory, &vm->work_cancelled, err) : 0;
}

/* From here on it is the loop's, whatever became of it. */
static void vm_after_make(struct vm *vm, const struct error *err)
{
	vm->kvm = vm->made.kvm;
	vm->vcpus = vm->made.vcpus;
	vm->made = (struct vm_made){NULL, NULL};
	vm->machine_done(vm, err);
}

void vm_machine_make(struct vm *vm, vm_work_after_fn done)
{
	vm->machine_done = done;
	vm_work_begin(vm, vm_work_make, vm_after_make);
}

/* ---- its end
 * ------------------------------------------------------------------------------------------ */

static int vm_work_stop_vcpus(struct vm *vm, struct error *err)
{
	(void)err;
	vcpu_set_destroy(vm->made.vcpus);
	return 0;
}

static void vm_after_stop_vcpus(struct vm *vm, const struct error *err)
{
	vm->made.vcpus = NULL;
	vm->vcpus = NULL;
	vm->machine_done(vm, err);
}

/* vm->vcpus stays: a guest that resets its machine now still reaches for it. */
void vm_machine_stop(struct vm *vm, vm_work_after_fn done)
{
	vm->machine_done = done;
	vm->made.vcpus = vm->vcpus;
	vm_work_begin(vm, vm_work_stop_vcpus, vm_after_stop_vcpus);
}

static int vm_work_unmake(struct vm *vm, struct error *err)
{
	(void)err;
	kvm_vm_destroy(vm->made.kvm);
	guest_memory_destroy(&vm->memory);
	return 0;
}

static void vm_after_unmake(struct vm *vm, const struct error *err)
{
	vm->made.kvm = NULL;
	vm->machine_done(vm, err);
}

void vm_machine_unmake(struct vm *vm, vm_work_after_fn done)
{
	vm->machine_done = done;
	platform_destroy(vm->platform);
	pci_bus_destroy(vm->pci);
	bus_destroy(vm->pio);
	bus_destroy(vm->mmio);
	vm->platform = NULL;
	vm->pci = NULL;
	vm->pio = vm->mmio = NULL;
	vm->made.kvm = vm->kvm;
	vm->kvm = NULL;
	vm_work_begin(vm, vm_work_unmake, vm_after_unmake);
}

/* ---- the kernel
 * --------------------------------------------------------------------------------------- */

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

static int vm_work_load(struct vm *vm, struct error *err)
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
	if (boot_load(&request, &vm->memory, &vm->entry, err) == 0)
		return vm_set_entry(vm, err);
	/* It is the guest's memory that is too small, which is for the operator to set. */
	if (err->code == -ENOMEM)
		err->code = -E2BIG;
	return err->code;
}

void vm_machine_load(struct vm *vm, vm_work_after_fn done)
{
	vm_work_begin(vm, vm_work_load, done);
}
