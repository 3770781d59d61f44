/* SPDX-License-Identifier: Apache-2.0 */
#include "ioapic.h"

#include "mmio.h"

#define REGISTER_SELECT	    0x00
#define REGISTER_WINDOW	    0x10
#define REGISTER_VERSION    0x01
#define REGISTER_FIRST_LINE 0x10
#define LINE_MASKED	    0x10000u

static uint32_t ioapic_read(uint32_t gpa, uint32_t index)
{
	mmio_write32((uint64_t)gpa + REGISTER_SELECT, index);
	return mmio_read32((uint64_t)gpa + REGISTER_WINDOW);
}

static void ioapic_write(uint32_t gpa, uint32_t index, uint32_t value)
{
	mmio_write32((uint64_t)gpa + REGISTER_SELECT, index);
	mmio_write32((uint64_t)gpa + REGISTER_WINDOW, value);
}

uint32_t ioapic_entry_count(uint32_t gpa)
{
	return ((ioapic_read(gpa, REGISTER_VERSION) >> 16) & 0xFF) + 1;
}

void ioapic_route(uint32_t gpa, uint32_t pin, uint8_t apic_id, uint8_t vector)
{
	ioapic_mask(gpa, pin);
	ioapic_write(gpa, REGISTER_FIRST_LINE + 2 * pin + 1, (uint32_t)apic_id << 24);
	ioapic_write(gpa, REGISTER_FIRST_LINE + 2 * pin, vector);
}

void ioapic_mask(uint32_t gpa, uint32_t pin)
{
	ioapic_write(gpa, REGISTER_FIRST_LINE + 2 * pin, LINE_MASKED);
}
