/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/pvpanic.h"

#include <string.h>

#define EVENT_PANICKED	   0x01
#define EVENT_CRASH_LOADED 0x02 /* panicked, but a crash kernel takes over: the VM goes on */

static void pvpanic_on_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	(void)opaque;
	(void)offset;
	memset(data, 0, length_bytes);
	data[0] = EVENT_PANICKED | EVENT_CRASH_LOADED; /* the events that are understood */
}

static void pvpanic_on_write(void *opaque, uint64_t offset, const uint8_t *data,
			     unsigned length_bytes)
{
	const struct pvpanic *pvpanic = opaque;

	(void)offset;
	(void)length_bytes;
	if ((data[0] & EVENT_PANICKED) && pvpanic->panic)
		pvpanic->panic(pvpanic->opaque);
}

const struct bus_device_ops pvpanic_ops = {
	.name = "pvpanic",
	.read = pvpanic_on_read,
	.write = pvpanic_on_write,
};
