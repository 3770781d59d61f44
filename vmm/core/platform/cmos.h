/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MC146818 real-time clock and its CMOS memory. Time is the host's, UTC, plus an offset that
 * changes when the guest sets the clock. The flags of status C are worked out from the time that
 * went by when the guest reads them; no interrupt is ever raised, and the alarm does not go off:
 * kernels have better timers. Handlers run on vCPU threads.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_CMOS_H
#define BULKHEAD_VMM_CORE_PLATFORM_CMOS_H

#include <stdint.h>

#include "ipc/error.h"
#include "proto/platform.pb-c.h"
#include "vmm/core/platform/bus.h"

#define CMOS_PORT_BYTES	    2
#define CMOS_REGISTER_COUNT 128

struct cmos;

struct cmos_options {
	uint64_t ram_below_hole_bytes, ram_above_hole_bytes; /* for the memory-size bytes */
	int64_t (*now_ns)(void); /* since 1970; NULL: CLOCK_REALTIME. For tests. */
};

extern const struct bus_device_ops cmos_ops; /* PORT_CMOS_INDEX, 2 bytes */

struct cmos *cmos_new(const struct cmos_options *options); /* NULL: out of memory */
void cmos_destroy(struct cmos *cmos);			   /* accepts NULL */

/* The index register as after power-on; memory and clock live on their battery. vCPUs stopped. */
void cmos_reset(struct cmos *cmos);

/* vCPUs stopped. The message's bytes point into registers. */
void cmos_save(struct cmos *cmos, Bulkhead__Platform__Cmos *state,
	       uint8_t registers[CMOS_REGISTER_COUNT]);
/* -EINVAL: a value out of range; nothing is changed then. */
int cmos_restore(struct cmos *cmos, const Bulkhead__Platform__Cmos *state, struct error *err);

#endif
