/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct serial, shared by serial_registers.c (what the guest sees) and serial.c (the
 * backend's side, life and snapshots). Every function here wants the lock held.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_SERIAL_PARTS_H
#define BULKHEAD_VMM_CORE_PLATFORM_SERIAL_PARTS_H

#include <pthread.h>

#include "vmm/core/platform/serial.h"

#define SERIAL_FCR_ENABLE 0x01
#define SERIAL_MCR_LOOP	  0x10

/* A driver writes a FIFO's worth (16 bytes) each time it sees the transmitter empty. */
#define SERIAL_OUTPUT_SLACK_BYTES 64U

struct serial {
	pthread_mutex_t lock; /* guards everything below */
	struct irq_line irq;
	void (*wake)(void *opaque);
	void *wake_opaque;
	bool connected;

	uint8_t interrupt_enable, fifo_control, line_control, modem_control, modem_status, scratch;
	uint16_t divisor;
	bool overrun;
	bool transmit_interrupt;

	uint8_t received[SERIAL_RECEIVE_BYTES];
	size_t received_count;
	bool input_waits; /* the backend was told that there is no room */

	uint8_t output[SERIAL_OUTPUT_BYTES];
	uint32_t output_head, output_tail; /* free-running: written, taken */
};

static inline size_t serial_output_count(const struct serial *serial)
{
	return serial->output_head - serial->output_tail;
}

static inline bool serial_transmitter_ready(const struct serial *serial)
{
	return SERIAL_OUTPUT_BYTES - serial_output_count(serial) >= SERIAL_OUTPUT_SLACK_BYTES;
}

static inline size_t serial_receive_capacity(const struct serial *serial)
{
	return serial->fifo_control & SERIAL_FCR_ENABLE ? SERIAL_RECEIVE_BYTES : 1;
}

/* Put a byte into the receive FIFO, or note an overrun. */
void serial_receive(struct serial *serial, uint8_t byte);

/* Whether an enabled source asks for an interrupt. */
bool serial_irq_level(const struct serial *serial);
void serial_update_irq(struct serial *serial);

/* There may be room for input again: tell the backend if it waits for that. */
void serial_offer_room(struct serial *serial);

/* All registers as after power-on; interrupt line and output ring are left alone. */
void serial_power_on(struct serial *serial);

/* -EINVAL unless every register holds what a guest could have written. */
int serial_registers_check(const Bulkhead__Platform__Serial *state, struct error *err);

#endif
