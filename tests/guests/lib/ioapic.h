/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O APIC's redirection table. */
#ifndef GUEST_IOAPIC_H
#define GUEST_IOAPIC_H

#include <stdint.h>

/* Number of redirection entries of the IOAPIC at gpa. */
uint32_t ioapic_entry_count(uint32_t gpa);

/* Delivers a pin, edge-triggered and active high, as a fixed interrupt to one CPU. */
void ioapic_route(uint32_t gpa, uint32_t pin, uint8_t apic_id, uint8_t vector);

/* Masks a pin. */
void ioapic_mask(uint32_t gpa, uint32_t pin);

#endif
