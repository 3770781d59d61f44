/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/unpack.h"
#include "proto/vm_state.pb-c.h"
#include "vmm/core/kvm/x86_64/vcpu_state.h"
#include "vmm/core/kvm/x86_64/vcpu_state_fields.h"

#define MAX_MSRS	  1024U
#define MAX_CPUID_ENTRIES 512U
#define MAX_XSAVE_BYTES	  65536U

static int unpack_missing(struct error *err, const char *field)
{
	return error_set(err, -EINVAL, "%s is missing or has a wrong size", field);
}

static int unpack_registers(const Bulkhead__Vmstate__Registers *from, struct kvm_regs *to,
			    struct error *err)
{
	if (!from)
		return unpack_missing(err, "registers");
#define COPY(name) to->name = from->name;
	VCPU_GENERAL_REGISTERS(COPY)
#undef COPY
	return 0;
}

static void unpack_segment(const Bulkhead__Vmstate__Segment *from, struct kvm_segment *to)
{
	to->base = from->address;
	/* KVM looks at the width of its own fields; what does not fit was never written by us. */
#define COPY(name) to->name = (__typeof__(to->name))from->name;
	VCPU_SEGMENT_FIELDS(COPY)
#undef COPY
}

static int unpack_system(const Bulkhead__Vmstate__SystemRegisters *from, struct kvm_sregs *to,
			 struct error *err)
{
	if (!from || from->n_interrupt_bitmap != 4)
		return unpack_missing(err, "system");
#define COPY_SEGMENT(name)                                                                         \
	if (!from->name)                                                                           \
		return unpack_missing(err, "system." #name);                                       \
	unpack_segment(from->name, &to->name);
	VCPU_SEGMENTS(COPY_SEGMENT)
#undef COPY_SEGMENT
#define COPY(name) to->name = from->name;
	VCPU_CONTROL_REGISTERS(COPY)
#undef COPY
	to->gdt.base = from->gdt_base;
	to->gdt.limit = (uint16_t)from->gdt_limit;
	to->idt.base = from->idt_base;
	to->idt.limit = (uint16_t)from->idt_limit;
	for (unsigned i = 0; i < 4; i++)
		to->interrupt_bitmap[i] = from->interrupt_bitmap[i];
	return 0;
}

static int unpack_debug(const Bulkhead__Vmstate__DebugRegisters *from, struct kvm_debugregs *to,
			struct error *err)
{
	if (!from || from->n_db != 4)
		return unpack_missing(err, "debug");
	for (unsigned i = 0; i < 4; i++)
		to->db[i] = from->db[i];
	to->dr6 = from->dr6;
	to->dr7 = from->dr7;
	to->flags = from->flags;
	return 0;
}

static int unpack_events(const Bulkhead__Vmstate__Events *from, struct kvm_vcpu_events *to,
			 struct error *err)
{
	if (!from)
		return unpack_missing(err, "events");
#define COPY(field, member) to->member = (__typeof__(to->member))from->field;
	VCPU_EVENT_FIELDS(COPY)
#undef COPY
	return 0;
}

static int unpack_xcrs(const Bulkhead__Vmstate__Vcpu *from, struct kvm_xcrs *to, struct error *err)
{
	if (from->n_xcrs > KVM_MAX_XCRS)
		return unpack_missing(err, "xcrs");
	to->nr_xcrs = (uint32_t)from->n_xcrs;
	for (size_t i = 0; i < from->n_xcrs; i++) {
		to->xcrs[i].xcr = from->xcrs[i]->index;
		to->xcrs[i].value = from->xcrs[i]->value;
	}
	return 0;
}

/* KVM_SET_XSAVE reads as many bytes as this host's area has: a shorter one is padded with zeros by
 * us. */
static int unpack_xsave(const Bulkhead__Vmstate__Vcpu *from, struct vcpu_registers *to,
			struct error *err)
{
	if (from->xsave.len < sizeof(struct kvm_xsave) || from->xsave.len > MAX_XSAVE_BYTES)
		return unpack_missing(err, "xsave");
	to->xsave = calloc(1, MAX_XSAVE_BYTES);
	if (!to->xsave)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(to->xsave, from->xsave.data, from->xsave.len);
	to->xsave_bytes = from->xsave.len;
	return 0;
}

static int unpack_msrs(const Bulkhead__Vmstate__Vcpu *from, struct vcpu_registers *to,
		       struct error *err)
{
	if (from->n_msrs > MAX_MSRS)
		return unpack_missing(err, "msrs");
	to->msrs = calloc(1, sizeof(*to->msrs) + from->n_msrs * sizeof(to->msrs->entries[0]));
	if (!to->msrs)
		return error_set(err, -ENOMEM, "out of memory");
	to->msrs->nmsrs = (uint32_t)from->n_msrs;
	for (size_t i = 0; i < from->n_msrs; i++) {
		to->msrs->entries[i].index = from->msrs[i]->index;
		to->msrs->entries[i].data = from->msrs[i]->value;
	}
	return 0;
}

static int unpack_cpuid(const Bulkhead__Vmstate__Vcpu *from, struct vcpu_registers *to,
			struct error *err)
{
	if (!from->n_cpuid || from->n_cpuid > MAX_CPUID_ENTRIES)
		return unpack_missing(err, "cpuid");
	to->cpuid = calloc(1, sizeof(*to->cpuid) + from->n_cpuid * sizeof(to->cpuid->entries[0]));
	if (!to->cpuid)
		return error_set(err, -ENOMEM, "out of memory");
	to->cpuid->nent = (uint32_t)from->n_cpuid;
	for (size_t i = 0; i < from->n_cpuid; i++) {
		const Bulkhead__Vmstate__CpuidEntry *entry = from->cpuid[i];

		to->cpuid->entries[i] = (struct kvm_cpuid_entry2){
			.function = entry->function,
			.index = entry->index,
			.flags = entry->flags,
			.eax = entry->eax,
			.ebx = entry->ebx,
			.ecx = entry->ecx,
			.edx = entry->edx,
		};
	}
	return 0;
}

static int unpack_all(const Bulkhead__Vmstate__Vcpu *from, unsigned index,
		      struct vcpu_registers *to, struct error *err)
{
	if (from->index != index)
		return error_set(err, -EINVAL, "is the state of vCPU %u", from->index);
	if (from->lapic.len != sizeof(to->lapic.regs))
		return unpack_missing(err, "lapic");
	memcpy(to->lapic.regs, from->lapic.data, sizeof(to->lapic.regs));
	to->mp_state.mp_state = from->mp_state;
	to->tsc_khz = from->tsc_khz;
	to->has_tsc_offset = from->has_tsc_offset;
	to->tsc_offset = (uint64_t)from->tsc_offset;
	if (unpack_registers(from->registers, &to->regs, err) < 0 ||
	    unpack_system(from->system, &to->sregs, err) < 0 ||
	    unpack_debug(from->debug, &to->debugregs, err) < 0 ||
	    unpack_events(from->events, &to->events, err) < 0 ||
	    unpack_xcrs(from, &to->xcrs, err) < 0 || unpack_xsave(from, to, err) < 0 ||
	    unpack_msrs(from, to, err) < 0)
		return err->code;
	return unpack_cpuid(from, to, err);
}

int vcpu_state_unpack(const uint8_t *state, size_t state_bytes, unsigned index,
		      struct vcpu_registers *registers, struct error *err)
{
	ProtobufCMessage *message;
	int result;

	memset(registers, 0, sizeof(*registers));
	if (unpack_message(&bulkhead__vmstate__vcpu__descriptor, state, state_bytes, &message,
			   NULL) < 0)
		return error_set(err, -EINVAL, "is not a vCPU's state");
	result = unpack_all((const Bulkhead__Vmstate__Vcpu *)message, index, registers, err);
	protobuf_c_message_free_unpacked(message, NULL);
	return result;
}
