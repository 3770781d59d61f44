/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A UART: its registers, FIFOs and interrupt. It knows no file: what the guest writes goes
 * to a ring that the backend (serial_backend.h) empties on the loop thread, and the backend gives
 * input as far as there is room. A guest that writes faster than the backend empties sees a
 * transmitter that is not ready; a vCPU is never held up.
 *
 * Register numbers and bits: National Semiconductor PC16550D data sheet, 8.0.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_SERIAL_H
#define BULKHEAD_VMM_CORE_PLATFORM_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"
#include "proto/platform.pb-c.h"
#include "vmm/core/platform/bus.h"
#include "vmm/core/platform/irq_line.h"

#define SERIAL_PORT_BYTES    8
#define SERIAL_OUTPUT_BYTES  16384 /* a power of two */
#define SERIAL_RECEIVE_BYTES 64

struct serial;

extern const struct bus_device_ops serial_ops; /* opaque: struct serial */

/* NULL: out of memory. */
struct serial *serial_new(const struct irq_line *irq);
void serial_destroy(struct serial *serial); /* accepts NULL; no access is under way */

/*
 * Whom to tell that there is output to take, or room for input again: called on vCPU threads with
 * the lock held, must only wake the loop. Until it is set, and after it is NULL again, output is
 * dropped.
 */
void serial_set_backend(struct serial *serial, void (*wake)(void *opaque), void *opaque);

/* Nobody listens (false): output is dropped, what waits in the ring too. Loop thread. */
void serial_set_connected(struct serial *serial, bool connected);

/* Move up to capacity bytes of output to bytes; returns how many. Loop thread. */
size_t serial_take_output(struct serial *serial, uint8_t *bytes, size_t capacity);

/*
 * How many bytes of input can be given now. When it is 0 the backend is woken as soon as there is
 * room. Loop thread.
 */
size_t serial_input_room(struct serial *serial);

/* Give input, at most serial_input_room() bytes: more is dropped and reported to the guest as an
 * overrun. Loop thread. */
void serial_give_input(struct serial *serial, const uint8_t *bytes, size_t length_bytes);

/* Power-on state; output that waits is kept: the backend still passes it on. vCPUs stopped. */
void serial_reset(struct serial *serial);

#define SERIAL_STATE_BYTES (SERIAL_RECEIVE_BYTES + SERIAL_OUTPUT_BYTES)

/* Fill an initialised message, whose bytes point into buffer. vCPUs stopped. */
void serial_save(struct serial *serial, Bulkhead__Platform__Serial *state,
		 uint8_t buffer[SERIAL_STATE_BYTES]);

/* Check and apply. -EINVAL: registers out of range or FIFOs too long; nothing is changed then. */
int serial_restore(struct serial *serial, const Bulkhead__Platform__Serial *state,
		   struct error *err);

#endif
