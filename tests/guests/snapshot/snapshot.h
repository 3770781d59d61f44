/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the snapshot guest: each keeps state of one kind in a way that depends only on the
 * number of ticks so far, so that whatever is lost, stale or changed by a snapshot and a restore
 * shows as an error.
 */
#ifndef GUEST_SNAPSHOT_H
#define GUEST_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Pages of RAM, filled at start; every tick checks and rewrites the next few. Of each page only
 * every stride_words-th word is used: a lost page shows by one word as well as by all of them.
 */
void memory_state_init(uint64_t wanted_mib, uint32_t dirty_pages_per_tick, uint32_t stride_words);
uint64_t memory_state_page_count(void);

/* Checks the pages of this tick, then rewrites them. Returns the number of bad pages. */
uint32_t memory_state_tick(uint64_t tick, uint64_t *checksum);

/* Checks every page as of after that tick. Returns the number of bad pages. */
uint64_t memory_state_verify(uint64_t tick, uint64_t *checksum);

/* The last sectors of the first disk, if there is one: each tick writes one and checks the last. */
bool disk_state_init(void);
uint32_t disk_state_tick(uint64_t tick);

/* Checks every sector as of after that tick. */
uint32_t disk_state_verify(uint64_t tick);

/* General registers held over a loop, and model-specific ones written once. Return mismatches. */
void register_state_init(void);
uint32_t register_state_tick(void);

/* TSC and kvmclock must not go back. */
void clock_state_init(void);
uint32_t clock_state_tick(void);

/* The other CPUs wake on their own timers. Returns how many run. */
uint32_t cpu_state_start(void);

/* Sum of the wake-ups of all of them, and the smallest of them. */
uint64_t cpu_state_wakes(uint64_t *smallest);

/* Eight bytes of the entropy device, or false if there is none or it fails. */
bool entropy_read(uint64_t *value);

#endif
