/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/x86_64/irqchip.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

/* KVM tells the real time of its answer only where the TSC is its clock's base: a moment later will
 * do. */
static void irqchip_add_realtime(struct kvm_clock_data *clock)
{
	struct timespec now;

	if (clock->flags & KVM_CLOCK_REALTIME)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	clock->realtime = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
	clock->flags |= KVM_CLOCK_REALTIME;
}

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
	irqchip_add_realtime(&state->clock);
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
	/* Older kernels know no flags. */
	set = (struct kvm_clock_data){.clock = clock->clock};
	if (clock->flags & KVM_CLOCK_REALTIME) {
		struct kvm_clock_data now = {0};

		irqchip_add_realtime(&now);
		if (now.realtime > clock->realtime)
			set.clock += now.realtime - clock->realtime;
	}
	if (ioctl(vm_fd, KVM_SET_CLOCK, &set) < 0)
		return error_set_errno(err, -errno, "KVM_SET_CLOCK");
	return 0;
}
