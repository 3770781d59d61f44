/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the timers guest. */
#ifndef GUEST_TIMERS_H
#define GUEST_TIMERS_H

#include <stdint.h>

/*
 * Checks that a clock advances as fast as the TSC, within a fifth, over a few milliseconds. start
 * (may be NULL) is called before each attempt. Several attempts: the guest may lose its CPU between
 * two reads, so one that fits proves the rate.
 */
void timers_check_rate(const char *test, void (*start)(void), uint64_t (*now_us)(void));

/* LAPIC timer: one-shot, periodic, TSC deadline. */
void timers_check_lapic(void);

/* PIT: counting, and interrupts through the IOAPIC. */
void timers_check_pit(void);

/* TSC, ACPI PM timer, kvmclock. */
void timers_check_clocks(void);

/* CMOS real-time clock. */
void timers_check_rtc(void);

#endif
