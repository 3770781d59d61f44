/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/serial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/platform/serial_parts.h"

/* ---- the backend's side ---- */

void serial_set_backend(struct serial *serial, void (*wake)(void *opaque), void *opaque)
{
	pthread_mutex_lock(&serial->lock);
	serial->wake = wake;
	serial->wake_opaque = opaque;
	serial->connected = serial->connected && wake;
	pthread_mutex_unlock(&serial->lock);
}

void serial_set_connected(struct serial *serial, bool connected)
{
	pthread_mutex_lock(&serial->lock);
	serial->connected = connected;
	if (!connected && serial_output_count(serial) > 0) {
		bool was_ready = serial_transmitter_ready(serial);

		serial->output_tail = serial->output_head;
		serial->transmit_interrupt = serial->transmit_interrupt || !was_ready;
	}
	serial_update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
}

size_t serial_take_output(struct serial *serial, uint8_t *bytes, size_t capacity)
{
	size_t count = 0;
	bool was_ready;

	pthread_mutex_lock(&serial->lock);
	was_ready = serial_transmitter_ready(serial);
	while (count < capacity && serial_output_count(serial) > 0)
		bytes[count++] = serial->output[serial->output_tail++ % SERIAL_OUTPUT_BYTES];
	if (!was_ready && serial_transmitter_ready(serial))
		serial->transmit_interrupt = true;
	serial_update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
	return count;
}

size_t serial_input_room(struct serial *serial)
{
	size_t room = 0;

	pthread_mutex_lock(&serial->lock);
	if (!(serial->modem_control & SERIAL_MCR_LOOP) &&
	    serial->received_count < serial_receive_capacity(serial))
		room = serial_receive_capacity(serial) - serial->received_count;
	serial->input_waits = room == 0;
	pthread_mutex_unlock(&serial->lock);
	return room;
}

void serial_give_input(struct serial *serial, const uint8_t *bytes, size_t length_bytes)
{
	pthread_mutex_lock(&serial->lock);
	for (size_t i = 0; i < length_bytes; i++)
		serial_receive(serial, bytes[i]);
	serial_update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
}

/* ---- life ---- */

struct serial *serial_new(const struct irq_line *irq)
{
	struct serial *serial = calloc(1, sizeof(*serial));

	if (!serial)
		return NULL;
	pthread_mutex_init(&serial->lock, NULL);
	serial->irq = *irq;
	serial_power_on(serial);
	return serial;
}

void serial_destroy(struct serial *serial)
{
	if (!serial)
		return;
	pthread_mutex_destroy(&serial->lock);
	free(serial);
}

void serial_reset(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	serial_power_on(serial);
	irq_line_force(&serial->irq, false);
	serial_offer_room(serial);
	pthread_mutex_unlock(&serial->lock);
}

/* ---- snapshots ---- */

void serial_save(struct serial *serial, Bulkhead__Platform__Serial *state,
		 uint8_t buffer[SERIAL_STATE_BYTES])
{
	pthread_mutex_lock(&serial->lock);
	state->interrupt_enable = serial->interrupt_enable;
	state->fifo_control = serial->fifo_control;
	state->line_control = serial->line_control;
	state->modem_control = serial->modem_control;
	state->modem_status = serial->modem_status;
	state->scratch = serial->scratch;
	state->divisor = serial->divisor;
	state->overrun = serial->overrun;
	state->transmit_interrupt = serial->transmit_interrupt;
	state->received = (ProtobufCBinaryData){serial->received_count, buffer};
	memcpy(buffer, serial->received, serial->received_count);
	buffer += SERIAL_RECEIVE_BYTES;
	state->output = (ProtobufCBinaryData){serial_output_count(serial), buffer};
	for (uint32_t at = serial->output_tail; at != serial->output_head; at++)
		*buffer++ = serial->output[at % SERIAL_OUTPUT_BYTES];
	pthread_mutex_unlock(&serial->lock);
}

static void apply_registers(struct serial *serial, const Bulkhead__Platform__Serial *state)
{
	serial->interrupt_enable = (uint8_t)state->interrupt_enable;
	serial->fifo_control = (uint8_t)state->fifo_control;
	serial->line_control = (uint8_t)state->line_control;
	serial->modem_control = (uint8_t)state->modem_control;
	serial->modem_status = (uint8_t)state->modem_status;
	serial->scratch = (uint8_t)state->scratch;
	serial->divisor = (uint16_t)state->divisor;
	serial->overrun = state->overrun;
	serial->transmit_interrupt = state->transmit_interrupt;
}

/*
 * What was typed while the machine was being restored comes behind what had been when it was saved.
 */
static void restore_received(struct serial *serial, const ProtobufCBinaryData *saved)
{
	uint8_t typed[SERIAL_RECEIVE_BYTES];
	size_t typed_count = serial->received_count;

	memcpy(typed, serial->received, typed_count);
	serial->received_count = 0;
	for (size_t i = 0; i < saved->len; i++)
		serial->received[serial->received_count++] = saved->data[i];
	for (size_t i = 0; i < typed_count && serial->received_count < SERIAL_RECEIVE_BYTES; i++)
		serial->received[serial->received_count++] = typed[i];
}

int serial_restore(struct serial *serial, const Bulkhead__Platform__Serial *state,
		   struct error *err)
{
	int result = serial_registers_check(state, err);

	if (result < 0)
		return result;
	if (state->received.len > SERIAL_RECEIVE_BYTES || state->output.len > SERIAL_OUTPUT_BYTES)
		return error_set(err, -EINVAL,
				 "serial: %zu received and %zu sent bytes are too many",
				 state->received.len, state->output.len);
	pthread_mutex_lock(&serial->lock);
	apply_registers(serial, state);
	restore_received(serial, &state->received);
	serial->output_head = serial->output_tail = 0;
	/* With nobody to read it there is no reason to keep it. */
	for (size_t i = 0; serial->connected && i < state->output.len; i++)
		serial->output[serial->output_head++] = state->output.data[i];
	irq_line_force(&serial->irq, serial_irq_level(serial));
	if (serial->wake)
		serial->wake(serial->wake_opaque);
	pthread_mutex_unlock(&serial->lock);
	return 0;
}
