/* SPDX-License-Identifier: Apache-2.0 */
#include "lapic.h"

#include "cpu.h"
#include "interrupt.h"
#include "mmio.h"

#define LAPIC_BASE	 0xFEE00000ull
#define MSR_APIC_BASE	 0x1B
#define APIC_BASE_ENABLE (1u << 11)

enum lapic_register {
	LAPIC_ID = 0x020,
	LAPIC_TASK_PRIORITY = 0x080,
	LAPIC_EOI = 0x0B0,
	LAPIC_SPURIOUS = 0x0F0,
	LAPIC_REQUEST = 0x200,
	LAPIC_COMMAND_LOW = 0x300,
	LAPIC_COMMAND_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3E0,
};

#define LVT_MASKED	       0x10000u
#define SPURIOUS_ENABLE	       0x100u
#define DIVIDE_BY_1	       0x0Bu
#define COMMAND_PENDING	       0x1000u
#define COMMAND_INIT_ASSERT    0x4500u
#define COMMAND_STARTUP_ASSERT 0x4600u
#define COMMAND_FIXED_ASSERT   0x4000u

static void lapic_write(enum lapic_register offset, uint32_t value)
{
	mmio_write32(LAPIC_BASE + offset, value);
}

static uint32_t lapic_read(enum lapic_register offset)
{
	return mmio_read32(LAPIC_BASE + offset);
}

void lapic_init(void)
{
	uint64_t base = cpu_read_msr(MSR_APIC_BASE);

	if (!(base & APIC_BASE_ENABLE)) {
		cpu_write_msr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	}
	lapic_write(LAPIC_TASK_PRIORITY, 0);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LVT_MASKED);
	lapic_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

uint8_t lapic_id(void)
{
	return (uint8_t)(lapic_read(LAPIC_ID) >> 24);
}

void lapic_end_of_interrupt(void)
{
	lapic_write(LAPIC_EOI, 0);
}

void lapic_timer_start(uint32_t mode, uint32_t count)
{
	lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
	lapic_write(LAPIC_LVT_TIMER, mode | VECTOR_TIMER);
	if (mode != LAPIC_TIMER_TSC_DEADLINE) {
		lapic_write(LAPIC_TIMER_INITIAL, count);
	}
}

void lapic_timer_stop(void)
{
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
}

uint32_t lapic_timer_remaining(void)
{
	return lapic_read(LAPIC_TIMER_CURRENT);
}

bool lapic_is_requested(uint8_t vector)
{
	uint32_t word = mmio_read32(LAPIC_BASE + LAPIC_REQUEST + (vector / 32u) * 0x10u);

	return (word >> (vector % 32u)) & 1;
}

static void lapic_send(uint8_t apic_id, uint32_t command)
{
	lapic_write(LAPIC_COMMAND_HIGH, (uint32_t)apic_id << 24);
	lapic_write(LAPIC_COMMAND_LOW, command);
	for (int i = 0; i < 1000 && (lapic_read(LAPIC_COMMAND_LOW) & COMMAND_PENDING); i++) {
		cpu_relax();
	}
}

void lapic_send_fixed(uint8_t apic_id, uint8_t vector)
{
	lapic_send(apic_id, COMMAND_FIXED_ASSERT | vector);
}

void lapic_send_init(uint8_t apic_id)
{
	lapic_send(apic_id, COMMAND_INIT_ASSERT);
}

void lapic_send_startup(uint8_t apic_id, uint8_t page)
{
	lapic_send(apic_id, COMMAND_STARTUP_ASSERT | page);
}
