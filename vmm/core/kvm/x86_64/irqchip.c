/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/x86_64/irqchip.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

int irqchip_capture(int vm_fd, struct irqchip_state *state, struct error *err)
{
	memset(state, 0, sizeof(*state));
	for (unsigned i = 0; i < 3; i++) {
		state->chips[i].chip_id = i;
		if (ioctl(vm_fd, KVM_GET_IRQCHIP, &state->chips[i]) < 0)
			return error_set_errno(err, -errno, "KVM_GET_IRQCHIP %u", i);
	}
	if (ioctl(vm_fd, KVM_GET_PIT2, &state->pit) < 0)
		return error_set_errno(err, -errno, "KVM_GET_PIT2");
	if (ioctl(vm_fd, KVM_GET_CLOCK, &state->clock) < 0)
		return error_set_errno(err, -errno, "KVM_GET_CLOCK");
	return 0;
}

int irqchip_apply(int vm_fd, const struct irqchip_state *state, struct error *err)
{
	struct kvm_pit_state2 pit = state->pit;

	for (unsigned i = 0; i < 3; i++) {
		struct kvm_irqchip chip = state->chips[i];

		chip.chip_id = i;
		if (ioctl(vm_fd, KVM_SET_IRQCHIP, &chip) < 0)
			return error_set_errno(err, -errno, "KVM_SET_IRQCHIP %u", i);
	}
	if (ioctl(vm_fd, KVM_SET_PIT2, &pit) < 0)
		return error_set_errno(err, -errno, "KVM_SET_PIT2");
	return 0;
}

int irqchip_apply_clock(int vm_fd, const struct kvm_clock_data *clock, struct error *err)
{
	struct kvm_clock_data set = {.clock = clock->clock};

	if (clock->flags & KVM_CLOCK_REALTIME) {
		set.flags = KVM_CLOCK_REALTIME;
		set.realtime = clock->realtime;
	}
	if (ioctl(vm_fd, KVM_SET_CLOCK, &set) == 0)
		return 0;
	/* Older kernels know no flags: the clock then goes on where it stopped. */
	set = (struct kvm_clock_data){.clock = clock->clock};
	if (ioctl(vm_fd, KVM_SET_CLOCK, &set) < 0)
		return error_set_errno(err, -errno, "KVM_SET_CLOCK");
	return 0;
}
