/* SPDX-License-Identifier: Apache-2.0 */
/* State of vCPUs and interrupt controllers in files: everything comes back, hostile ones are
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/vm_state.pb-c.h"
#include "tests/vmm/core/snapshot/snapshot_sample.h"
#include "vmm/core/kvm/x86_64/irqchip_state.h"
#include "vmm/core/kvm/x86_64/vcpu_state.h"

#define VCPU 3

static Bulkhead__Vmstate__Vcpu *make_message(void)
{
	struct vcpu_registers registers;
	Bulkhead__Vmstate__Vcpu *message;
	struct error err = ERROR_INIT;
	uint8_t *packed;
	size_t bytes;

	sample_registers(&registers, 0);
	assert_int_equal(vcpu_state_pack(&registers, VCPU, &packed, &bytes, &err), 0);
	vcpu_registers_release(&registers);
	message = bulkhead__vmstate__vcpu__unpack(NULL, bytes, packed);
	assert_non_null(message);
	free(packed);
	return message;
}

static int unpack(const Bulkhead__Vmstate__Vcpu *message, unsigned index, struct error *err)
{
	size_t bytes = bulkhead__vmstate__vcpu__get_packed_size(message);
	uint8_t *packed = malloc(bytes);
	struct vcpu_registers registers;
	int result;

	assert_non_null(packed);
	bulkhead__vmstate__vcpu__pack(message, packed);
	result = vcpu_state_unpack(packed, bytes, index, &registers, err);
	vcpu_registers_release(&registers);
	free(packed);
	return result;
}

/* As far as KVM's structs have fields: what lies between and behind them is padding. */
static void compare_segment(const struct kvm_segment *one, const struct kvm_segment *other)
{
	struct kvm_segment copy = *one;

	copy.padding = other->padding;
	assert_memory_equal(&copy, other, sizeof(copy));
}

static void compare_system(const struct kvm_sregs *one, const struct kvm_sregs *other)
{
	struct kvm_sregs copy = *one;

	compare_segment(&one->cs, &other->cs);
	compare_segment(&one->ds, &other->ds);
	compare_segment(&one->es, &other->es);
	compare_segment(&one->fs, &other->fs);
	compare_segment(&one->gs, &other->gs);
	compare_segment(&one->ss, &other->ss);
	compare_segment(&one->tr, &other->tr);
	compare_segment(&one->ldt, &other->ldt);
	memcpy(&copy, other, offsetof(struct kvm_sregs, gdt));
	memcpy(copy.gdt.padding, other->gdt.padding, sizeof(copy.gdt.padding));
	memcpy(copy.idt.padding, other->idt.padding, sizeof(copy.idt.padding));
	assert_memory_equal(&copy, other, sizeof(copy));
}

static void compare_events(const struct kvm_vcpu_events *one, const struct kvm_vcpu_events *other)
{
	struct kvm_vcpu_events copy = *one;

	copy.nmi.pad = other->nmi.pad;
	memcpy(copy.reserved, other->reserved, sizeof(copy.reserved));
	assert_memory_equal(&copy, other, sizeof(copy));
}

static void every_register_comes_back(void **state)
{
	struct vcpu_registers one, other;
	struct error err = ERROR_INIT;
	uint8_t *packed;
	size_t bytes;

	(void)state;
	sample_registers(&one, 11);
	assert_int_equal(vcpu_state_pack(&one, VCPU, &packed, &bytes, &err), 0);
	if (vcpu_state_unpack(packed, bytes, VCPU, &other, &err) != 0)
		fail_msg("%s", err.message);
	assert_memory_equal(&one.regs, &other.regs, sizeof(one.regs));
	compare_system(&one.sregs, &other.sregs);
	assert_memory_equal(&one.lapic, &other.lapic, sizeof(one.lapic));
	assert_int_equal(one.mp_state.mp_state, other.mp_state.mp_state);
	compare_events(&one.events, &other.events);
	assert_memory_equal(&one.debugregs, &other.debugregs,
			    offsetof(struct kvm_debugregs, reserved));
	assert_int_equal(one.xcrs.nr_xcrs, other.xcrs.nr_xcrs);
	for (unsigned i = 0; i < one.xcrs.nr_xcrs; i++) {
		assert_int_equal(one.xcrs.xcrs[i].xcr, other.xcrs.xcrs[i].xcr);
		assert_true(one.xcrs.xcrs[i].value == other.xcrs.xcrs[i].value);
	}
	assert_int_equal(one.xsave_bytes, other.xsave_bytes);
	assert_memory_equal(one.xsave, other.xsave, one.xsave_bytes);
	assert_int_equal(one.msrs->nmsrs, other.msrs->nmsrs);
	for (unsigned i = 0; i < one.msrs->nmsrs; i++) {
		assert_int_equal(one.msrs->entries[i].index, other.msrs->entries[i].index);
		assert_true(one.msrs->entries[i].data == other.msrs->entries[i].data);
	}
	assert_int_equal(one.cpuid->nent, other.cpuid->nent);
	assert_memory_equal(one.cpuid->entries, other.cpuid->entries,
			    one.cpuid->nent * sizeof(one.cpuid->entries[0]));
	assert_int_equal(one.tsc_khz, other.tsc_khz);
	assert_true(one.has_tsc_offset && other.has_tsc_offset);
	assert_true(one.tsc_offset == other.tsc_offset);
	vcpu_registers_release(&one);
	vcpu_registers_release(&other);
	free(packed);
}

static void refuse(void (*spoil)(Bulkhead__Vmstate__Vcpu *message), const char *field)
{
	Bulkhead__Vmstate__Vcpu *message = make_message();
	struct error err = ERROR_INIT;

	assert_int_equal(unpack(message, VCPU, &err), 0);
	spoil(message);
	if (unpack(message, VCPU, &err) == 0)
		fail_msg("a wrong %s was taken", field);
	if (!strstr(err.message, field))
		fail_msg("\"%s\" does not name %s", err.message, field);
	bulkhead__vmstate__vcpu__free_unpacked(message, NULL);
}

static void spoil_registers(Bulkhead__Vmstate__Vcpu *message)
{
	bulkhead__vmstate__registers__free_unpacked(message->registers, NULL);
	message->registers = NULL;
}

static void spoil_segment(Bulkhead__Vmstate__Vcpu *message)
{
	bulkhead__vmstate__segment__free_unpacked(message->system->gs, NULL);
	message->system->gs = NULL;
}

static void spoil_bitmap(Bulkhead__Vmstate__Vcpu *message)
{
	message->system->n_interrupt_bitmap = 3;
}

static void spoil_debug(Bulkhead__Vmstate__Vcpu *message)
{
	message->debug->n_db = 1;
}

static void spoil_events(Bulkhead__Vmstate__Vcpu *message)
{
	bulkhead__vmstate__events__free_unpacked(message->events, NULL);
	message->events = NULL;
}

static void spoil_lapic(Bulkhead__Vmstate__Vcpu *message)
{
	message->lapic.len--;
}

static void spoil_xsave(Bulkhead__Vmstate__Vcpu *message)
{
	message->xsave.len = sizeof(struct kvm_xsave) - 1;
}

static void grow_xsave(Bulkhead__Vmstate__Vcpu *message)
{
	message->xsave.data = realloc(message->xsave.data, 65537);
	message->xsave.len = 65537;
}

static void spoil_cpuid(Bulkhead__Vmstate__Vcpu *message)
{
	while (message->n_cpuid)
		bulkhead__vmstate__cpuid_entry__free_unpacked(message->cpuid[--message->n_cpuid],
							      NULL);
}

/* Many empty entries cost an attacker two bytes each. */
static void *multiply(void *pointers, size_t from, size_t to, size_t message_bytes)
{
	void **grown = realloc(pointers, to * sizeof(void *));

	assert_non_null(grown);
	for (size_t i = from; i < to; i++) {
		grown[i] = malloc(message_bytes);
		assert_non_null(grown[i]);
		memcpy(grown[i], grown[0], message_bytes);
	}
	return grown;
}

static void grow_msrs(Bulkhead__Vmstate__Vcpu *message)
{
	message->msrs = multiply(message->msrs, message->n_msrs, 1025, sizeof(**message->msrs));
	message->n_msrs = 1025;
}

static void grow_cpuid(Bulkhead__Vmstate__Vcpu *message)
{
	message->cpuid = multiply(message->cpuid, message->n_cpuid, 513, sizeof(**message->cpuid));
	message->n_cpuid = 513;
}

static void grow_xcrs(Bulkhead__Vmstate__Vcpu *message)
{
	message->xcrs =
		multiply(message->xcrs, message->n_xcrs, KVM_MAX_XCRS + 1, sizeof(**message->xcrs));
	message->n_xcrs = KVM_MAX_XCRS + 1;
}

static void spoil_index(Bulkhead__Vmstate__Vcpu *message)
{
	message->index = VCPU + 1;
}

static void a_vcpu_that_lacks_something_or_has_too_much_is_refused(void **state)
{
	(void)state;
	refuse(spoil_registers, "registers");
	refuse(spoil_segment, "system.gs");
	refuse(spoil_bitmap, "system");
	refuse(spoil_debug, "debug");
	refuse(spoil_events, "events");
	refuse(spoil_lapic, "lapic");
	refuse(spoil_xsave, "xsave");
	refuse(grow_xsave, "xsave");
	refuse(spoil_cpuid, "cpuid");
	refuse(grow_cpuid, "cpuid");
	refuse(grow_msrs, "msrs");
	refuse(grow_xcrs, "xcrs");
	refuse(spoil_index, "vCPU 4");
}

static void garbage_is_no_vcpu(void **state)
{
	static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct vcpu_registers registers;
	struct error err = ERROR_INIT;

	(void)state;
	assert_true(vcpu_state_unpack(garbage, sizeof(garbage), 0, &registers, &err) < 0);
	vcpu_registers_release(&registers);
	assert_true(vcpu_state_unpack(garbage, 0, 0, &registers, &err) < 0);
	vcpu_registers_release(&registers);
}

/* Two bytes each in the file, fifty and more in memory. */
static void empty_messages_by_the_million_are_refused_before_they_fill_memory(void **state)
{
	const size_t bytes = 4U << 20;
	uint8_t *flood = malloc(bytes);
	struct vcpu_registers registers;
	struct error err = ERROR_INIT;

	(void)state;
	assert_non_null(flood);
	for (size_t i = 0; i < bytes; i += 2) {
		flood[i] = 12 << 3 | 2; /* cpuid */
		flood[i + 1] = 0;
	}
	assert_int_equal(vcpu_state_unpack(flood, bytes, 0, &registers, &err), -EINVAL);
	/* Not for what is in it, which nobody has looked at. */
	assert_string_equal(err.message, "is not a vCPU's state");
	vcpu_registers_release(&registers);
	free(flood);
}

/* ---- interrupt controllers ---- */

static void fill_irqchip(struct irqchip_state *state)
{
	memset(state, 0, sizeof(*state));
	for (unsigned i = 0; i < 2; i++)
		for (size_t at = 0; at < sizeof(struct kvm_pic_state); at++)
			((uint8_t *)&state->chips[i].chip.pic)[at] = (uint8_t)(1 + 16 * i + at);
	state->chips[2].chip.ioapic.base_address = 0xfec00000;
	state->chips[2].chip.ioapic.ioregsel = 7;
	state->chips[2].chip.ioapic.id = 3;
	state->chips[2].chip.ioapic.irr = 0x123456;
	for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		state->chips[2].chip.ioapic.redirtbl[pin].bits =
			UINT64_C(0x0102030405060708) * (pin + 1);
	for (unsigned i = 0; i < 3; i++) {
		struct kvm_pit_channel_state *channel = &state->pit.channels[i];

		*channel = (struct kvm_pit_channel_state){
			.count = 65536 - i,
			.latched_count = (uint16_t)(100 + i),
			.count_latched = (uint8_t)(1 + i),
			.status_latched = (uint8_t)(2 + i),
			.status = (uint8_t)(3 + i),
			.read_state = (uint8_t)(4 + i),
			.write_state = (uint8_t)(5 + i),
			.write_latch = (uint8_t)(6 + i),
			.rw_mode = (uint8_t)(7 + i),
			.mode = (uint8_t)(8 + i),
			.bcd = (uint8_t)(9 + i),
			.gate = (uint8_t)(10 + i),
			.count_load_time = -5 - (int)i,
		};
	}
	state->pit.flags = 1;
	state->clock.clock = UINT64_C(0x123456789abcdef);
	state->clock.flags = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	state->clock.realtime = UINT64_C(1800000000000000000);
	state->clock.host_tsc = 777;
}

static void interrupt_controllers_and_timers_come_back(void **state)
{
	Bulkhead__Vmstate__Vm message = BULKHEAD__VMSTATE__VM__INIT, *unpacked;
	struct irqchip_message parts;
	struct irqchip_state one, other;
	struct error err = ERROR_INIT;
	uint8_t packed[4096];
	size_t bytes;

	(void)state;
	fill_irqchip(&one);
	irqchip_state_fill(&message, &parts, &one);
	bytes = bulkhead__vmstate__vm__pack(&message, packed);
	assert_true(bytes <= sizeof(packed));
	unpacked = bulkhead__vmstate__vm__unpack(NULL, bytes, packed);
	assert_non_null(unpacked);
	assert_int_equal(unpacked->clock->host_tsc, 777);
	if (irqchip_state_read(unpacked, &other, &err) != 0)
		fail_msg("%s", err.message);
	for (unsigned i = 0; i < 2; i++)
		assert_memory_equal(&one.chips[i].chip.pic, &other.chips[i].chip.pic,
				    sizeof(struct kvm_pic_state));
	assert_memory_equal(&one.chips[2].chip.ioapic, &other.chips[2].chip.ioapic,
			    sizeof(struct kvm_ioapic_state));
	assert_memory_equal(&one.pit, &other.pit, sizeof(one.pit));
	assert_true(one.clock.clock == other.clock.clock);
	assert_true(one.clock.realtime == other.clock.realtime);
	assert_int_equal(other.clock.flags, KVM_CLOCK_REALTIME);
	bulkhead__vmstate__vm__free_unpacked(unpacked, NULL);
}

static void a_machine_that_lacks_something_is_refused(void **state)
{
	Bulkhead__Vmstate__Vm message = BULKHEAD__VMSTATE__VM__INIT, copy;
	struct irqchip_message parts;
	struct irqchip_state filled, read;
	struct error err = ERROR_INIT;

	(void)state;
	fill_irqchip(&filled);
	irqchip_state_fill(&message, &parts, &filled);
	assert_int_equal(irqchip_state_read(&message, &read, &err), 0);
	copy = message;
	copy.clock = NULL;
	assert_int_equal(irqchip_state_read(&copy, &read, &err), -EINVAL);
	copy = message;
	copy.pic_slave = NULL;
	assert_int_equal(irqchip_state_read(&copy, &read, &err), -EINVAL);
	copy = message;
	copy.ioapic = NULL;
	assert_int_equal(irqchip_state_read(&copy, &read, &err), -EINVAL);
	assert_non_null(strstr(err.message, "ioapic"));
	copy = message;
	copy.pit = NULL;
	assert_int_equal(irqchip_state_read(&copy, &read, &err), -EINVAL);
	assert_non_null(strstr(err.message, "pit"));
	parts.ioapic.n_redirection--;
	assert_int_equal(irqchip_state_read(&message, &read, &err), -EINVAL);
	parts.ioapic.n_redirection++;
	parts.pit.n_channels = 4;
	assert_int_equal(irqchip_state_read(&message, &read, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_register_comes_back),
		cmocka_unit_test(a_vcpu_that_lacks_something_or_has_too_much_is_refused),
		cmocka_unit_test(garbage_is_no_vcpu),
		cmocka_unit_test(empty_messages_by_the_million_are_refused_before_they_fill_memory),
		cmocka_unit_test(interrupt_controllers_and_timers_come_back),
		cmocka_unit_test(a_machine_that_lacks_something_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
