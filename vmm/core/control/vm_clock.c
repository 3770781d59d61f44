/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/vm_clock.h"

#include <sys/ioctl.h>

#include "vmm/core/control/vm_parts.h"

void vm_clock_stop(struct vm *vm)
{
	vm->clock_at_pause = (struct kvm_clock_data){0};
	vm->clock_stopped = ioctl(kvm_vm_fd(vm->kvm), KVM_GET_CLOCK, &vm->clock_at_pause) == 0;
}

/* How far a vCPU's TSC has run while the host's ran so many ticks: they differ where KVM scales. */
static uint64_t vm_clock_guest_ticks(const struct vm *vm, int vcpu_fd, uint64_t host_ticks)
{
	int host_khz = ioctl(kvm_vm_fd(vm->kvm), KVM_GET_TSC_KHZ, 0);
	int guest_khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	if (host_khz <= 0 || guest_khz <= 0 || host_khz == guest_khz)
		return host_ticks;
	return (uint64_t)((unsigned __int128)host_ticks * (unsigned)guest_khz / (unsigned)host_khz);
}

/* The TSC goes on from where it was. Every vCPU gets the same offset, as KVM wants it to take their
 * TSCs for synchronized (KVM_VCPU_TSC_OFFSET). */
static void vm_clock_set_back_tsc(struct vm *vm, unsigned vcpu, uint64_t host_ticks)
{
	uint64_t offset = 0;
	struct kvm_device_attr attribute = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)(uintptr_t)&offset,
	};
	int fd = vcpu_set_fd(vm->vcpus, vcpu);

	if (ioctl(fd, KVM_GET_DEVICE_ATTR, &attribute) < 0)
		return;
	offset -= vm_clock_guest_ticks(vm, fd, host_ticks);
	(void)ioctl(fd, KVM_SET_DEVICE_ATTR, &attribute);
}

void vm_clock_continue(struct vm *vm)
{
	const struct kvm_clock_data *then = &vm->clock_at_pause;
	struct kvm_clock_data set = {.clock = then->clock}, now = {0};

	if (!vm->clock_stopped)
		return;
	vm->clock_stopped = false;
	/* Where KVM does not tell the host's TSC, guests do not use theirs as a clock. */
	if (ioctl(kvm_vm_fd(vm->kvm), KVM_GET_CLOCK, &now) == 0 &&
	    (now.flags & then->flags & KVM_CLOCK_HOST_TSC))
		for (unsigned i = 0; i < vcpu_set_count(vm->vcpus); i++)
			vm_clock_set_back_tsc(vm, i, now.host_tsc - then->host_tsc);
	(void)ioctl(kvm_vm_fd(vm->kvm), KVM_SET_CLOCK, &set);
}
