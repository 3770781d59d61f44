/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/cleanup.h"
#include "proto/vm_state.pb-c.h"
#include "vmm/core/kvm/x86_64/vcpu_state.h"
#include "vmm/core/kvm/x86_64/vcpu_state_fields.h"

enum segment_index {
#define SEGMENT_INDEX(name) SEGMENT_##name,
	VCPU_SEGMENTS(SEGMENT_INDEX)
#undef SEGMENT_INDEX
	SEGMENT_COUNT
};

/* All parts of the message in one place, so that nothing of it is allocated but the arrays of
 * varying length. */
struct vcpu_message {
	Bulkhead__Vmstate__Vcpu vcpu;
	Bulkhead__Vmstate__Registers registers;
	Bulkhead__Vmstate__SystemRegisters system;
	Bulkhead__Vmstate__Segment segments[SEGMENT_COUNT];
	Bulkhead__Vmstate__DebugRegisters debug;
	Bulkhead__Vmstate__Events events;
	Bulkhead__Vmstate__Xcr xcrs[KVM_MAX_XCRS];
	Bulkhead__Vmstate__Xcr *xcr_pointers[KVM_MAX_XCRS];
	uint64_t interrupt_bitmap[4];
	uint64_t debug_addresses[4];
};

static void pack_registers(struct vcpu_message *message, const struct kvm_regs *from)
{
	bulkhead__vmstate__registers__init(&message->registers);
#define COPY(name) message->registers.name = from->name;
	VCPU_GENERAL_REGISTERS(COPY)
#undef COPY
	message->vcpu.registers = &message->registers;
}

static void pack_segment(Bulkhead__Vmstate__Segment *to, const struct kvm_segment *from)
{
	bulkhead__vmstate__segment__init(to);
	to->address = from->base;
#define COPY(name) to->name = from->name;
	VCPU_SEGMENT_FIELDS(COPY)
#undef COPY
}

static void pack_system(struct vcpu_message *message, const struct kvm_sregs *from)
{
	Bulkhead__Vmstate__SystemRegisters *to = &message->system;

	bulkhead__vmstate__system_registers__init(to);
#define COPY_SEGMENT(name)                                                                         \
	pack_segment(&message->segments[SEGMENT_##name], &from->name);                             \
	to->name = &message->segments[SEGMENT_##name];
	VCPU_SEGMENTS(COPY_SEGMENT)
#undef COPY_SEGMENT
#define COPY(name) to->name = from->name;
	VCPU_CONTROL_REGISTERS(COPY)
#undef COPY
	to->gdt_base = from->gdt.base;
	to->gdt_limit = from->gdt.limit;
	to->idt_base = from->idt.base;
	to->idt_limit = from->idt.limit;
	for (unsigned i = 0; i < 4; i++)
		message->interrupt_bitmap[i] = from->interrupt_bitmap[i];
	to->interrupt_bitmap = message->interrupt_bitmap;
	to->n_interrupt_bitmap = 4;
	message->vcpu.system = to;
}

static void pack_debug(struct vcpu_message *message, const struct kvm_debugregs *from)
{
	bulkhead__vmstate__debug_registers__init(&message->debug);
	for (unsigned i = 0; i < 4; i++)
		message->debug_addresses[i] = from->db[i];
	message->debug.db = message->debug_addresses;
	message->debug.n_db = 4;
	message->debug.dr6 = from->dr6;
	message->debug.dr7 = from->dr7;
	message->debug.flags = from->flags;
	message->vcpu.debug = &message->debug;
}

static void pack_events(struct vcpu_message *message, const struct kvm_vcpu_events *from)
{
	bulkhead__vmstate__events__init(&message->events);
#define COPY(field, member) message->events.field = from->member;
	VCPU_EVENT_FIELDS(COPY)
#undef COPY
	message->vcpu.events = &message->events;
}

static void pack_xcrs(struct vcpu_message *message, const struct kvm_xcrs *from)
{
	unsigned count = from->nr_xcrs < KVM_MAX_XCRS ? from->nr_xcrs : KVM_MAX_XCRS;

	for (unsigned i = 0; i < count; i++) {
		bulkhead__vmstate__xcr__init(&message->xcrs[i]);
		message->xcrs[i].index = from->xcrs[i].xcr;
		message->xcrs[i].value = from->xcrs[i].value;
		message->xcr_pointers[i] = &message->xcrs[i];
	}
	message->vcpu.xcrs = message->xcr_pointers;
	message->vcpu.n_xcrs = count;
}

struct msr_storage {
	Bulkhead__Vmstate__Msr *messages;
	Bulkhead__Vmstate__Msr **pointers;
};

static int pack_msrs(struct vcpu_message *message, const struct kvm_msrs *from,
		     struct msr_storage *storage)
{
	storage->messages = calloc(from->nmsrs + 1, sizeof(*storage->messages));
	storage->pointers = calloc(from->nmsrs + 1, sizeof(*storage->pointers));
	if (!storage->messages || !storage->pointers)
		return -ENOMEM;
	for (unsigned i = 0; i < from->nmsrs; i++) {
		bulkhead__vmstate__msr__init(&storage->messages[i]);
		storage->messages[i].index = from->entries[i].index;
		storage->messages[i].value = from->entries[i].data;
		storage->pointers[i] = &storage->messages[i];
	}
	message->vcpu.msrs = storage->pointers;
	message->vcpu.n_msrs = from->nmsrs;
	return 0;
}

struct cpuid_storage {
	Bulkhead__Vmstate__CpuidEntry *messages;
	Bulkhead__Vmstate__CpuidEntry **pointers;
};

static int pack_cpuid(struct vcpu_message *message, const struct kvm_cpuid2 *from,
		      struct cpuid_storage *storage)
{
	storage->messages = calloc(from->nent + 1, sizeof(*storage->messages));
	storage->pointers = calloc(from->nent + 1, sizeof(*storage->pointers));
	if (!storage->messages || !storage->pointers)
		return -ENOMEM;
	for (unsigned i = 0; i < from->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &from->entries[i];
		Bulkhead__Vmstate__CpuidEntry *to = &storage->messages[i];

		bulkhead__vmstate__cpuid_entry__init(to);
		to->function = entry->function;
		to->index = entry->index;
		to->flags = entry->flags;
		to->eax = entry->eax;
		to->ebx = entry->ebx;
		to->ecx = entry->ecx;
		to->edx = entry->edx;
		storage->pointers[i] = to;
	}
	message->vcpu.cpuid = storage->pointers;
	message->vcpu.n_cpuid = from->nent;
	return 0;
}

int vcpu_state_pack(const struct vcpu_registers *registers, unsigned index, uint8_t **state,
		    size_t *state_bytes, struct error *err)
{
	struct vcpu_message message = {.vcpu = BULKHEAD__VMSTATE__VCPU__INIT};
	struct msr_storage msrs = {NULL, NULL};
	struct cpuid_storage cpuid = {NULL, NULL};
	int result = -ENOMEM;

	message.vcpu.index = index;
	pack_registers(&message, &registers->regs);
	pack_system(&message, &registers->sregs);
	pack_debug(&message, &registers->debugregs);
	pack_events(&message, &registers->events);
	pack_xcrs(&message, &registers->xcrs);
	message.vcpu.xsave.data = registers->xsave;
	message.vcpu.xsave.len = registers->xsave_bytes;
	message.vcpu.lapic.data = (uint8_t *)(uintptr_t)registers->lapic.regs;
	message.vcpu.lapic.len = sizeof(registers->lapic.regs);
	message.vcpu.mp_state = registers->mp_state.mp_state;
	message.vcpu.tsc_khz = registers->tsc_khz;
	message.vcpu.has_tsc_offset = registers->has_tsc_offset;
	message.vcpu.tsc_offset = (int64_t)registers->tsc_offset;
	if (pack_msrs(&message, registers->msrs, &msrs) == 0 &&
	    pack_cpuid(&message, registers->cpuid, &cpuid) == 0) {
		*state_bytes = bulkhead__vmstate__vcpu__get_packed_size(&message.vcpu);
		*state = malloc(*state_bytes);
		if (*state) {
			bulkhead__vmstate__vcpu__pack(&message.vcpu, *state);
			result = 0;
		}
	}
	free(msrs.messages);
	free(msrs.pointers);
	free(cpuid.messages);
	free(cpuid.pointers);
	return result ? error_set(err, result, "out of memory") : 0;
}
