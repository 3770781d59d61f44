/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The panic port (pvpanic): a kernel whose driver has found the ACPI device QEMU0001 writes here
 * when it panics. It has no state.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_PVPANIC_H
#define BULKHEAD_VMM_CORE_PLATFORM_PVPANIC_H

#include "vmm/core/platform/bus.h"

struct pvpanic {
	void (*panic)(void *opaque); /* on a vCPU thread; may be NULL */
	void *opaque;
};

extern const struct bus_device_ops pvpanic_ops; /* PORT_PVPANIC, 1 byte; opaque: struct pvpanic */

#endif
