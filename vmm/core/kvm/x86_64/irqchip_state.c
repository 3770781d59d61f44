/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/x86_64/irqchip_state.h"

#include <errno.h>
#include <string.h>

#define PIT_CHANNELS 3

#define PIC_FIELDS(X)                                                                              \
	X(last_irr)                                                                                \
	X(irr)                                                                                     \
	X(imr)                                                                                     \
	X(isr)                                                                                     \
	X(priority_add)                                                                            \
	X(irq_base)                                                                                \
	X(read_reg_select)                                                                         \
	X(poll)                                                                                    \
	X(special_mask)                                                                            \
	X(init_state)                                                                              \
	X(auto_eoi)                                                                                \
	X(rotate_on_auto_eoi)                                                                      \
	X(special_fully_nested_mode)                                                               \
	X(init4)                                                                                   \
	X(elcr)                                                                                    \
	X(elcr_mask)

#define PIT_CHANNEL_FIELDS(X)                                                                      \
	X(count)                                                                                   \
	X(latched_count)                                                                           \
	X(count_latched)                                                                           \
	X(status_latched)                                                                          \
	X(status)                                                                                  \
	X(read_state)                                                                              \
	X(write_state)                                                                             \
	X(write_latch)                                                                             \
	X(rw_mode)                                                                                 \
	X(mode)                                                                                    \
	X(bcd)                                                                                     \
	X(gate)                                                                                    \
	X(count_load_time)

static void fill_pic(Bulkhead__Vmstate__Pic *to, const struct kvm_pic_state *from)
{
	bulkhead__vmstate__pic__init(to);
#define COPY(name) to->name = from->name;
	PIC_FIELDS(COPY)
#undef COPY
}

static void read_pic(const Bulkhead__Vmstate__Pic *from, struct kvm_pic_state *to)
{
#define COPY(name) to->name = (__typeof__(to->name))from->name;
	PIC_FIELDS(COPY)
#undef COPY
}

static void fill_ioapic(struct irqchip_message *parts, const struct kvm_ioapic_state *from)
{
	bulkhead__vmstate__ioapic__init(&parts->ioapic);
	parts->ioapic.base_address = from->base_address;
	parts->ioapic.ioregsel = from->ioregsel;
	parts->ioapic.id = from->id;
	parts->ioapic.irr = from->irr;
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		parts->redirection[pin] = from->redirtbl[pin].bits;
	parts->ioapic.redirection = parts->redirection;
	parts->ioapic.n_redirection = KVM_IOAPIC_NUM_PINS;
}

static void fill_pit(struct irqchip_message *parts, const struct kvm_pit_state2 *from)
{
	bulkhead__vmstate__pit__init(&parts->pit);
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		Bulkhead__Vmstate__PitChannel *to = &parts->channels[i];

		bulkhead__vmstate__pit_channel__init(to);
#define COPY(name) to->name = from->channels[i].name;
		PIT_CHANNEL_FIELDS(COPY)
#undef COPY
		parts->channel_pointers[i] = to;
	}
	parts->pit.channels = parts->channel_pointers;
	parts->pit.n_channels = PIT_CHANNELS;
	parts->pit.flags = from->flags;
}

void irqchip_state_fill(Bulkhead__Vmstate__Vm *message, struct irqchip_message *parts,
			const struct irqchip_state *state)
{
	bulkhead__vmstate__clock__init(&parts->clock);
	parts->clock.nanoseconds = state->clock.clock;
	if (state->clock.flags & KVM_CLOCK_REALTIME)
		parts->clock.realtime_ns = state->clock.realtime;
	if (state->clock.flags & KVM_CLOCK_HOST_TSC)
		parts->clock.host_tsc = state->clock.host_tsc;
	fill_pic(&parts->pics[0], &state->chips[KVM_IRQCHIP_PIC_MASTER].chip.pic);
	fill_pic(&parts->pics[1], &state->chips[KVM_IRQCHIP_PIC_SLAVE].chip.pic);
	fill_ioapic(parts, &state->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic);
	fill_pit(parts, &state->pit);
	message->clock = &parts->clock;
	message->pic_master = &parts->pics[0];
	message->pic_slave = &parts->pics[1];
	message->ioapic = &parts->ioapic;
	message->pit = &parts->pit;
}

static int read_ioapic(const Bulkhead__Vmstate__Ioapic *from, struct kvm_ioapic_state *to,
		       struct error *err)
{
	if (!from || from->n_redirection != KVM_IOAPIC_NUM_PINS)
		return error_set(err, -EINVAL, "ioapic is missing or has a wrong number of pins");
	to->base_address = from->base_address;
	to->ioregsel = from->ioregsel;
	to->id = from->id;
	to->irr = from->irr;
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		to->redirtbl[pin].bits = from->redirection[pin];
	return 0;
}

static int read_pit(const Bulkhead__Vmstate__Pit *from, struct kvm_pit_state2 *to,
		    struct error *err)
{
	if (!from || from->n_channels != PIT_CHANNELS)
		return error_set(err, -EINVAL, "pit is missing or has a wrong number of channels");
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
#define COPY(name) to->channels[i].name = (__typeof__(to->channels[i].name))from->channels[i]->name;
		PIT_CHANNEL_FIELDS(COPY)
#undef COPY
	}
	to->flags = from->flags;
	return 0;
}

int irqchip_state_read(const Bulkhead__Vmstate__Vm *message, struct irqchip_state *state,
		       struct error *err)
{
	memset(state, 0, sizeof(*state));
	if (!message->clock || !message->pic_master || !message->pic_slave)
		return error_set(err, -EINVAL, "clock, pic_master or pic_slave is missing");
	state->clock.clock = message->clock->nanoseconds;
	if (message->clock->realtime_ns) {
		state->clock.flags = KVM_CLOCK_REALTIME;
		state->clock.realtime = message->clock->realtime_ns;
	}
	read_pic(message->pic_master, &state->chips[KVM_IRQCHIP_PIC_MASTER].chip.pic);
	read_pic(message->pic_slave, &state->chips[KVM_IRQCHIP_PIC_SLAVE].chip.pic);
	if (read_ioapic(message->ioapic, &state->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic, err) < 0)
		return err->code;
	return read_pit(message->pit, &state->pit, err);
}
