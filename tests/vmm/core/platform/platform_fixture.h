/* SPDX-License-Identifier: Apache-2.0 */
/* An interrupt line that remembers, and accesses of one register, for the platform's tests. */
#ifndef BULKHEAD_TESTS_VMM_CORE_PLATFORM_PLATFORM_FIXTURE_H
#define BULKHEAD_TESTS_VMM_CORE_PLATFORM_PLATFORM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "vmm/core/platform/bus.h"
#include "vmm/core/platform/irq_line.h"

struct fixture_irq {
	bool level;
	unsigned rises; /* edges */
	uint32_t gsi;
};

static inline void fixture_irq_set(void *opaque, uint32_t gsi, bool level)
{
	struct fixture_irq *irq = opaque;

	irq->gsi = gsi;
	if (level && !irq->level)
		irq->rises++;
	irq->level = level;
}

static inline void fixture_count(void *opaque)
{
	++*(unsigned *)opaque;
}

static inline uint32_t fixture_read(const struct bus_device_ops *ops, void *device, uint64_t offset,
				    unsigned length_bytes)
{
	uint8_t data[8] = {0};
	uint32_t value;

	ops->read(device, offset, data, length_bytes);
	memcpy(&value, data, sizeof(value));
	return value;
}

static inline void fixture_write(const struct bus_device_ops *ops, void *device, uint64_t offset,
				 unsigned length_bytes, uint32_t value)
{
	uint8_t data[8] = {0};

	memcpy(data, &value, sizeof(value));
	ops->write(device, offset, data, length_bytes);
}

#endif
