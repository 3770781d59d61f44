/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt controllers, PIT and clock as parts of a snapshot's vm.pb (proto/vm_state.proto, Vm),
 * and back. The message may come from a hostile file: presence and counts are checked here.
 */
#ifndef BULKHEAD_VMM_CORE_KVM_X86_64_IRQCHIP_STATE_H
#define BULKHEAD_VMM_CORE_KVM_X86_64_IRQCHIP_STATE_H

#include "ipc/error.h"
#include "proto/vm_state.pb-c.h"
#include "vmm/core/kvm/x86_64/irqchip.h"

/* Storage for the parts that irqchip_state_fill() hangs into a message. */
struct irqchip_message {
	Bulkhead__Vmstate__Clock clock;
	Bulkhead__Vmstate__Pic pics[2];
	Bulkhead__Vmstate__Ioapic ioapic;
	uint64_t redirection[KVM_IOAPIC_NUM_PINS];
	Bulkhead__Vmstate__Pit pit;
	Bulkhead__Vmstate__PitChannel channels[3];
	Bulkhead__Vmstate__PitChannel *channel_pointers[3];
};

/* Point message's clock, PICs, IOAPIC and PIT at parts, filled from state. parts must outlive
 * message. */
void irqchip_state_fill(Bulkhead__Vmstate__Vm *message, struct irqchip_message *parts,
			const struct irqchip_state *state);

/* -EINVAL: err names the field that is missing or wrong. */
int irqchip_state_read(const Bulkhead__Vmstate__Vm *message, struct irqchip_state *state,
		       struct error *err);

#endif
