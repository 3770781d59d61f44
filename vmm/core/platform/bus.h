/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address space of emulated registers (port I/O or MMIO): which range belongs to which device.
 *
 * vCPU threads look ranges up on every exit, so lookups take a shared lock only; ranges move rarely
 * (a guest reprograms a BAR). A handler runs on the vCPU thread that caused the exit, may run on
 * several at once, must not block, must not access its own bus and must not add or remove ranges
 * (it runs under the shared lock): that is done in work left with bus_defer().
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_BUS_H
#define BULKHEAD_VMM_CORE_PLATFORM_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"

/* data holds length_bytes (1, 2, 4 or 8), little endian; offset is relative to the range. */
struct bus_device_ops {
	const char *name;
	void (*read)(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes);
	void (*write)(void *opaque, uint64_t offset, const uint8_t *data, unsigned length_bytes);
};

struct bus;

struct bus *bus_new(const char *name);
void bus_destroy(struct bus *bus); /* accepts NULL */

/* -EEXIST: overlaps a range, -EINVAL: empty or wraps, -ENOSPC. ops must be static, opaque outlives
 * it. */
int bus_add(struct bus *bus, uint64_t base, uint64_t size_bytes, const struct bus_device_ops *ops,
	    void *opaque, struct error *err);
int bus_remove(struct bus *bus, uint64_t base); /* -ENOENT: no range starts at base */

/*
 * As bus_add, for a range that lies behind the others: ranges of bus_add may overlap it, before or
 * after, and get the accesses that lie wholly inside them. Only for the PCI address port (4 bytes
 * at 0xcf8) around the reset port (1 byte at 0xcf9).
 */
int bus_add_background(struct bus *bus, uint64_t base, uint64_t size_bytes,
		       const struct bus_device_ops *ops, void *opaque, struct error *err);

/*
 * Exit handling. A read that nobody claims gives all ones, a write is dropped; returns false then.
 * An access that crosses the end of a range is not claimed.
 */
bool bus_read(struct bus *bus, uint64_t address, uint8_t *data, unsigned length_bytes);
bool bus_write(struct bus *bus, uint64_t address, const uint8_t *data, unsigned length_bytes);

/*
 * From inside a handler of any bus: have `work` called on this thread after the handler returned
 * and the lock is dropped, before the guest goes on. At most one a handled access; later calls
 * replace earlier. Outside a handler it is called at once.
 */
void bus_defer(void (*work)(void *opaque), void *opaque);

#endif
