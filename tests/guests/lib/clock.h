/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time from the TSC. Its frequency comes from the hypervisor's CPUID leaf or kvmclock where they
 * exist, else it is measured once against the PIT.
 */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* TSC ticks in a millisecond; found out at the first call. BSP first. */
uint64_t clock_tsc_khz(void);

/* Microseconds since some moment before the first call. */
uint64_t clock_now_us(void);

/* Spins. */
void clock_delay_us(uint64_t delay_us);

typedef bool clock_predicate(void *argument);

/*
 * Waits until predicate(argument) holds, with interrupts on and the CPU halted in between (a
 * LAPIC timer tick wakes it). Returns false on time-out. Interrupts are off on return. Uses this
 * CPU's LAPIC timer and its handler. BSP only.
 */
bool clock_wait_until(clock_predicate *predicate, void *argument, uint64_t timeout_us);

#endif
