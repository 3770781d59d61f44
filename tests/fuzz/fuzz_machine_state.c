/* SPDX-License-Identifier: Apache-2.0 */
/* vm.pb: interrupt controllers, timers and clock; the input is the message. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/unpack.h"
#include "vmm/core/kvm/x86_64/irqchip_state.h"

#define PIC_BYTES    sizeof(struct kvm_pic_state)
#define IOAPIC_BYTES sizeof(struct kvm_ioapic_state)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct irqchip_state *state)
{
	Bulkhead__Vmstate__Vm message = BULKHEAD__VMSTATE__VM__INIT;
	struct irqchip_message parts;
	struct irqchip_state again;
	struct error err = ERROR_INIT;

	irqchip_state_fill(&message, &parts, state);
	if (irqchip_state_read(&message, &again, &err) < 0 ||
	    memcmp(again.chips[0].chip.dummy, state->chips[0].chip.dummy, PIC_BYTES) != 0 ||
	    memcmp(again.chips[1].chip.dummy, state->chips[1].chip.dummy, PIC_BYTES) != 0 ||
	    memcmp(again.chips[2].chip.dummy, state->chips[2].chip.dummy, IOAPIC_BYTES) != 0 ||
	    memcmp(&again.pit, &state->pit, sizeof(again.pit)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ProtobufCMessage *message;
	struct irqchip_state state;
	struct error err = ERROR_INIT;

	if (unpack_message(&bulkhead__vmstate__vm__descriptor, data, size, &message, &err) < 0)
		return 0;
	if (irqchip_state_read((const Bulkhead__Vmstate__Vm *)message, &state, &err) == 0)
		check_again(&state);
	else if (err.code >= 0 || !err.message[0])
		abort();
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
