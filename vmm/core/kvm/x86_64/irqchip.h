/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-kernel interrupt controllers (both PICs, IOAPIC), the PIT and the kvmclock as one piece of
 * state. All vCPUs are parked while it is read or written. Loop thread.
 */
#ifndef BULKHEAD_VMM_CORE_KVM_X86_64_IRQCHIP_H
#define BULKHEAD_VMM_CORE_KVM_X86_64_IRQCHIP_H

#include <linux/kvm.h>

#include "ipc/error.h"

struct irqchip_state {
	struct kvm_irqchip chips[3]; /* KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC */
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
};

int irqchip_capture(int vm_fd, struct irqchip_state *state, struct error *err);

/* Put back controllers and PIT. */
int irqchip_apply(int vm_fd, const struct irqchip_state *state, struct error *err);

/* Set the kvmclock to clock->clock; with KVM_CLOCK_REALTIME in flags it advances by the real time
 * that passed. */
int irqchip_apply_clock(int vm_fd, const struct kvm_clock_data *clock, struct error *err);

#endif
