/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of the i8042 keyboard controller as software uses without a keyboard: the reset command
 * (0xfe), the self-test and the controller command byte. Nothing is ever attached to its two ports.
 * Handlers run on vCPU threads.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_I8042_H
#define BULKHEAD_VMM_CORE_PLATFORM_I8042_H

#include "ipc/error.h"
#include "proto/platform.pb-c.h"
#include "vmm/core/platform/bus.h"

struct i8042;

extern const struct bus_device_ops i8042_data_ops;    /* PORT_I8042_DATA, 1 byte */
extern const struct bus_device_ops i8042_command_ops; /* PORT_I8042_COMMAND, 1 byte */

/* reset is called on a vCPU thread, without a lock held. NULL: out of memory. */
struct i8042 *i8042_new(void (*reset)(void *opaque), void *opaque);
void i8042_destroy(struct i8042 *i8042); /* accepts NULL */

void i8042_reset(struct i8042 *i8042); /* power-on state; vCPUs stopped */

/* vCPUs stopped. restore: -EINVAL when a value does not fit its register. */
void i8042_save(struct i8042 *i8042, Bulkhead__Platform__I8042 *state);
int i8042_restore(struct i8042 *i8042, const Bulkhead__Platform__I8042 *state, struct error *err);

#endif
