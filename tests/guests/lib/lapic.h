/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC in xAPIC mode (Intel SDM 3A, chapter 11), of the CPU that calls. */
#ifndef GUEST_LAPIC_H
#define GUEST_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#define LAPIC_TIMER_ONE_SHOT	 0x00000u
#define LAPIC_TIMER_PERIODIC	 0x20000u
#define LAPIC_TIMER_TSC_DEADLINE 0x40000u

/* Software-enables the LAPIC with everything but the spurious vector masked. */
void lapic_init(void);

/* The 8-bit APIC id. */
uint8_t lapic_id(void);

void lapic_end_of_interrupt(void);

/*
 * Starts the timer on VECTOR_TIMER with divisor 1. count: ticks of the bus clock (ignored in
 * TSC-deadline mode, where the caller writes the MSR afterwards). One nanosecond a tick under KVM.
 */
void lapic_timer_start(uint32_t mode, uint32_t count);
void lapic_timer_stop(void);

/* Ticks left of the current period. */
uint32_t lapic_timer_remaining(void);

/* True if the vector waits in the interrupt request register. */
bool lapic_is_requested(uint8_t vector);

/* Sends a fixed IPI to the CPU with that APIC id. */
void lapic_send_fixed(uint8_t apic_id, uint8_t vector);

/* INIT, and start-up at page << 12 (below 1 MiB), to the CPU with that APIC id. */
void lapic_send_init(uint8_t apic_id);
void lapic_send_startup(uint8_t apic_id, uint8_t page);

#endif
