/* SPDX-License-Identifier: Apache-2.0 */
/* Channel 0 of the 8254 timer. */
#ifndef GUEST_PIT_H
#define GUEST_PIT_H

#include <stdint.h>

#define PIT_HZ 1193182u

/* Starts channel 0 as a rate generator (mode 2) with the given divisor (0 means 65536). */
void pit_start(uint16_t divisor);

/* Reads the current count of channel 0. */
uint16_t pit_read_count(void);

/* Starts a count-down over the full 16 bits (about 55 ms) ... */
void pit_start_countdown(void);

/* ... and returns the microseconds since then; wraps after 55 ms. */
uint64_t pit_elapsed_us(void);

#endif
