/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's interrupt output. The level is remembered, so that a device may set it after every
 * access and only changes reach the interrupt controller. Guarded by its device's lock.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_IRQ_LINE_H
#define BULKHEAD_VMM_CORE_PLATFORM_IRQ_LINE_H

#include <stdbool.h>
#include <stdint.h>

struct irq_line {
	void (*set)(void *opaque, uint32_t gsi, bool level); /* any thread, never blocks */
	void *opaque;
	uint32_t gsi;
	bool level;
};

static inline void irq_line_set(struct irq_line *line, bool level)
{
	if (line->level == level)
		return;
	line->level = level;
	line->set(line->opaque, line->gsi, level);
}

/* After a restore or a reset the interrupt controller may hold another level than we remember. */
static inline void irq_line_force(struct irq_line *line, bool level)
{
	line->level = level;
	line->set(line->opaque, line->gsi, level);
}

#endif
