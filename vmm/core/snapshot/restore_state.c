/* SPDX-License-Identifier: Apache-2.0 */
/* Putting the state of a snapshot into a new machine. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/kvm/x86_64/cpuid.h"
#include "vmm/core/kvm/x86_64/irqchip_state.h"
#include "vmm/core/snapshot/host_facts.h"
#include "vmm/core/snapshot/restore_parts.h"

#define NS_PER_MS 1000000U

int restore_check_host(struct restore *restore, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *host = cpuid_supported(restore->vm->files.kvm, err);
	struct host_facts_comparison comparison;

	if (!host)
		return err->code;
	if (host_facts_compare(restore->reader->manifest->host, &comparison, err) < 0)
		return err->code;
	for (unsigned i = 0; i < restore->reader->vcpu_count; i++)
		if (host_facts_check_cpuid(host, restore->reader->vcpus[i].cpuid, err) < 0)
			return error_prefix(err, "vcpu-%u.pb", i);
	for (unsigned i = 0; i < comparison.risk_count; i++) {
		if (!restore->options.force)
			return error_set(err, -ENOTSUP, "%s; --force restores all the same",
					 comparison.risks[i]);
		log_warning("restore: %s", comparison.risks[i]);
	}
	return 0;
}

int restore_find_device(const struct restore *restore, const char *id)
{
	const Bulkhead__Snapshot__Manifest *manifest = restore->reader->manifest;

	for (size_t i = 0; i < manifest->n_devices; i++)
		if (strcmp(manifest->devices[i]->id, id) == 0)
			return (int)i;
	return -1;
}

int restore_devices(struct restore *restore, struct error *err)
{
	struct vm *vm = restore->vm;

	for (unsigned i = 0; i < vm->device_count; i++) {
		const char *id = worker_device_id(vm->devices[i]);
		int index = restore_find_device(restore, id);
		const Bulkhead__Snapshot__DeviceBlob *blob = restore->reader->devices[index];
		unsigned slot = restore->reader->manifest->devices[index]->pci_slot;

		if (worker_device_plug(vm->devices[i], vm->kvm, vm->pci, (int)slot, err) < 0)
			return err->code;
		if (virtio_pci_restore(worker_device_transport(vm->devices[i]),
				       blob->transport_state.data, blob->transport_state.len,
				       err) < 0)
			return error_prefix(err, "device \"%s\"", id);
	}
	return 0;
}

/*
 * kvmclock goes on by the real time that has passed; the TSC must go on by as much, since the guest
 * may use either (Documentation/virt/kvm/devices/vcpu.rst, KVM_VCPU_TSC_OFFSET). Where KVM does not
 * tell the host's TSC, the register is set instead, which is off by the moment that it takes.
 */
static void restore_tsc(const struct vcpu_registers *registers, int fd,
			const Bulkhead__Vmstate__Clock *source, const struct kvm_clock_data *here)
{
	__int128 passed_ns = (__int128)here->clock - (__int128)source->nanoseconds;
	uint64_t passed_ticks = (uint64_t)(passed_ns * registers->tsc_khz / NS_PER_MS);
	uint64_t offset =
		registers->tsc_offset + passed_ticks + (source->host_tsc - here->host_tsc);
	struct kvm_device_attr attribute = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)(uintptr_t)&offset,
	};

	if (!registers->tsc_khz || passed_ns < 0)
		return;
	if (source->host_tsc && (here->flags & KVM_CLOCK_HOST_TSC) && registers->has_tsc_offset &&
	    ioctl(fd, KVM_SET_DEVICE_ATTR, &attribute) == 0)
		return;
	(void)vcpu_registers_set_tsc(fd, vcpu_registers_tsc(registers) + passed_ticks);
}

static void restore_tscs(struct restore *restore)
{
	struct kvm_clock_data here = {0};

	if (ioctl(kvm_vm_fd(restore->vm->kvm), KVM_GET_CLOCK, &here) < 0)
		return;
	for (unsigned i = 0; i < restore->reader->vcpu_count; i++) {
		int fd = vcpu_set_fd(restore->vm->vcpus, i);

		restore_tsc(&restore->reader->vcpus[i], fd, restore->reader->vm->clock, &here);
		vcpu_registers_rearm_deadline(fd, &restore->reader->vcpus[i]);
	}
}

/* A difference between hosts that nothing but the register itself shows: named, and a risk. */
static int restore_check_msrs(const struct restore *restore, unsigned vcpu,
			      const struct vcpu_refused_msrs *refused, struct error *err)
{
	const struct kvm_msr_entry *first = &refused->entries[0];

	if (!refused->count)
		return 0;
	if (!restore->options.force)
		return error_set(
			err, -ENOTSUP,
			"vCPU %u: this host does not take MSR 0x%x with 0x%llx, nor %u more; "
			"--force restores all the same",
			vcpu, first->index, (unsigned long long)first->data, refused->count - 1);
	for (unsigned i = 0; i < refused->count && i < VCPU_MAX_REFUSED_MSRS; i++)
		log_warning("restore: vCPU %u: this host does not take MSR 0x%x with 0x%llx", vcpu,
			    refused->entries[i].index,
			    (unsigned long long)refused->entries[i].data);
	return 0;
}

int restore_vcpus(struct restore *restore, struct error *err)
{
	for (unsigned i = 0; i < restore->reader->vcpu_count; i++) {
		int fd = vcpu_set_fd(restore->vm->vcpus, i);
		const struct vcpu_registers *registers = &restore->reader->vcpus[i];
		struct vcpu_refused_msrs refused;

		if (vcpu_set_apply_cpuid(restore->vm->vcpus, i, registers->cpuid, err) < 0 ||
		    vcpu_registers_apply_tsc_rate(fd, registers, err) < 0 ||
		    vcpu_registers_apply_checked(fd, registers, &refused, err) < 0 ||
		    restore_check_msrs(restore, i, &refused, err) < 0)
			return error_prefix(err, "vcpu-%u.pb", i);
	}
	restore_tscs(restore);
	return 0;
}

/* A clone learns that it is one: another generation id, announced through ACPI. */
int restore_generation_id(struct restore *restore, struct error *err)
{
	uint8_t id[16];

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return error_set(err, -EIO, "no random numbers for the VM generation id");
	if (guest_memory_write(&restore->vm->memory, boot_vmgenid_gpa(), id, sizeof(id)) < 0)
		return error_set(err, -EFAULT, "the VM generation id lies outside of memory");
	return 0;
}

int restore_machine(struct restore *restore, struct error *err)
{
	const Bulkhead__Vmstate__Vm *state = restore->reader->vm;
	struct vm *vm = restore->vm;
	int fd = kvm_vm_fd(vm->kvm);
	struct irqchip_state irqchip;

	if (irqchip_state_read(state, &irqchip, err) < 0)
		return error_prefix(err, "vm.pb");
	if (irqchip_apply_clock(fd, &irqchip.clock, err) < 0 ||
	    irqchip_apply(fd, &irqchip, err) < 0)
		return error_prefix(err, "vm.pb");
	pci_bus_set_address(vm->pci, state->pci_config_address);
	if (platform_restore(vm->platform, state->platform.data, state->platform.len, err) < 0)
		return error_prefix(err, "vm.pb");
	return 0;
}
