/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest sees of the UART (PC16550D data sheet, 8.0). */
#include <errno.h>
#include <string.h>

#include "vmm/core/platform/serial_parts.h"

#define REGISTER_DATA		  0 /* receive buffer, transmit holding; divisor low with DLAB */
#define REGISTER_INTERRUPT_ENABLE 1 /* divisor high with DLAB */
#define REGISTER_INTERRUPT_ID	  2 /* FIFO control when written */
#define REGISTER_LINE_CONTROL	  3
#define REGISTER_MODEM_CONTROL	  4
#define REGISTER_LINE_STATUS	  5
#define REGISTER_MODEM_STATUS	  6
#define REGISTER_SCRATCH	  7

#define IER_RECEIVED	0x01
#define IER_TRANSMITTER 0x02
#define IER_LINE_STATUS 0x04
#define IER_MODEM	0x08
#define IER_MASK	0x0f

#define IIR_NONE	0x01
#define IIR_MODEM	0x00
#define IIR_TRANSMITTER 0x02
#define IIR_RECEIVED	0x04
#define IIR_LINE_STATUS 0x06
#define IIR_FIFO	0xc0

#define FCR_CLEAR_RECEIVE 0x02
#define FCR_MASK	  0xc9 /* what is kept: trigger level, DMA mode, enable */

#define LCR_DLAB 0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_MASK 0x1f

#define LSR_DATA_READY 0x01
#define LSR_OVERRUN    0x02
#define LSR_THRE       0x20
#define LSR_TEMT       0x40

#define MSR_CTS	      0x10
#define MSR_DSR	      0x20
#define MSR_RI	      0x40
#define MSR_DCD	      0x80
#define MSR_LEVELS    0xf0
#define MSR_DELTAS    0x0f
#define MSR_CONNECTED (MSR_CTS | MSR_DSR | MSR_DCD)

#define DIVISOR_9600 12

/* ---- state of the parts; the lock is held ---- */

/* Its value without the FIFO bits; sources by priority. */
static uint8_t interrupt_id(const struct serial *serial)
{
	if ((serial->interrupt_enable & IER_LINE_STATUS) && serial->overrun)
		return IIR_LINE_STATUS;
	if ((serial->interrupt_enable & IER_RECEIVED) && serial->received_count > 0)
		return IIR_RECEIVED;
	if ((serial->interrupt_enable & IER_TRANSMITTER) && serial->transmit_interrupt)
		return IIR_TRANSMITTER;
	if ((serial->interrupt_enable & IER_MODEM) && (serial->modem_status & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

bool serial_irq_level(const struct serial *serial)
{
	return interrupt_id(serial) != IIR_NONE;
}

void serial_update_irq(struct serial *serial)
{
	irq_line_set(&serial->irq, serial_irq_level(serial));
}

static void wake_backend(struct serial *serial)
{
	if (serial->wake)
		serial->wake(serial->wake_opaque);
}

void serial_receive(struct serial *serial, uint8_t byte)
{
	if (serial->received_count >= serial_receive_capacity(serial)) {
		serial->overrun = true;
		return;
	}
	serial->received[serial->received_count++] = byte;
}

static uint8_t modem_levels(const struct serial *serial)
{
	uint8_t control = serial->modem_control;

	if (!(control & SERIAL_MCR_LOOP))
		return MSR_CONNECTED;
	return (uint8_t)((control & MCR_RTS ? MSR_CTS : 0) | (control & MCR_DTR ? MSR_DSR : 0) |
			 (control & MCR_OUT1 ? MSR_RI : 0) | (control & MCR_OUT2 ? MSR_DCD : 0));
}

/* The delta bits lie four below their levels; the one of RI is set by its falling edge only. */
static void update_modem_status(struct serial *serial)
{
	uint8_t old = serial->modem_status & MSR_LEVELS;
	uint8_t levels = modem_levels(serial);
	uint8_t changed = old ^ levels;

	if (levels & MSR_RI)
		changed &= (uint8_t)~MSR_RI;
	serial->modem_status =
		(uint8_t)(levels | (serial->modem_status & MSR_DELTAS) | changed >> 4);
}

void serial_offer_room(struct serial *serial)
{
	if (!serial->input_waits)
		return;
	serial->input_waits = false;
	wake_backend(serial);
}

/* ---- registers; the lock is held ---- */

static uint8_t read_data(struct serial *serial)
{
	uint8_t byte;

	if (serial->received_count == 0)
		return 0;
	byte = serial->received[0];
	serial->received_count--;
	memmove(serial->received, serial->received + 1, serial->received_count);
	if (serial->received_count <= serial_receive_capacity(serial) / 2)
		serial_offer_room(serial);
	return byte;
}

static uint8_t read_interrupt_id(struct serial *serial)
{
	uint8_t id = interrupt_id(serial);

	if (id == IIR_TRANSMITTER) /* reading it acknowledges this source */
		serial->transmit_interrupt = false;
	return id | (serial->fifo_control & SERIAL_FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_line_status(struct serial *serial)
{
	uint8_t status = serial_transmitter_ready(serial) ? LSR_THRE | LSR_TEMT : 0;

	if (serial->received_count > 0)
		status |= LSR_DATA_READY;
	if (serial->overrun)
		status |= LSR_OVERRUN;
	serial->overrun = false;
	return status;
}

static uint8_t read_register(struct serial *serial, uint64_t number)
{
	bool divisor = serial->line_control & LCR_DLAB;
	uint8_t value;

	switch (number) {
	case REGISTER_DATA:
		return divisor ? (uint8_t)serial->divisor : read_data(serial);
	case REGISTER_INTERRUPT_ENABLE:
		return divisor ? (uint8_t)(serial->divisor >> 8) : serial->interrupt_enable;
	case REGISTER_INTERRUPT_ID:
		return read_interrupt_id(serial);
	case REGISTER_LINE_CONTROL:
		return serial->line_control;
	case REGISTER_MODEM_CONTROL:
		return serial->modem_control;
	case REGISTER_LINE_STATUS:
		return read_line_status(serial);
	case REGISTER_MODEM_STATUS:
		value = serial->modem_status;
		serial->modem_status &= MSR_LEVELS;
		return value;
	case REGISTER_SCRATCH:
		return serial->scratch;
	default:
		return 0xff;
	}
}

static void queue_output(struct serial *serial, uint8_t byte)
{
	if (!serial->connected || serial_output_count(serial) == SERIAL_OUTPUT_BYTES)
		return;
	serial->output[serial->output_head++ % SERIAL_OUTPUT_BYTES] = byte;
	if (serial_output_count(serial) == 1)
		wake_backend(serial);
}

static void write_data(struct serial *serial, uint8_t byte)
{
	if (serial->modem_control & SERIAL_MCR_LOOP)
		serial_receive(serial, byte);
	else
		queue_output(serial, byte);
	/* The byte leaves at once: empty again, as long as there is room for more. */
	serial->transmit_interrupt = serial_transmitter_ready(serial);
}

static void write_interrupt_enable(struct serial *serial, uint8_t value)
{
	uint8_t enabled = value & (uint8_t)~serial->interrupt_enable;

	serial->interrupt_enable = value & IER_MASK;
	/* Enabling the source while the transmitter is empty raises it, every time. */
	if ((enabled & IER_TRANSMITTER) && serial_transmitter_ready(serial))
		serial->transmit_interrupt = true;
}

/* "Clear transmitter" is ignored: for the guest its bytes left the FIFO long ago. */
static void write_fifo_control(struct serial *serial, uint8_t value)
{
	bool toggled = (value ^ serial->fifo_control) & SERIAL_FCR_ENABLE;

	serial->fifo_control = value & FCR_MASK;
	if (toggled || (value & FCR_CLEAR_RECEIVE)) {
		serial->received_count = 0;
		serial_offer_room(serial);
	}
}

static void write_modem_control(struct serial *serial, uint8_t value)
{
	serial->modem_control = value & MCR_MASK;
	update_modem_status(serial);
	if (!(value & SERIAL_MCR_LOOP))
		serial_offer_room(serial);
}

static void write_register(struct serial *serial, uint64_t number, uint8_t value)
{
	bool divisor = serial->line_control & LCR_DLAB;

	switch (number) {
	case REGISTER_DATA:
		if (divisor)
			serial->divisor = (uint16_t)((serial->divisor & 0xff00) | value);
		else
			write_data(serial, value);
		break;
	case REGISTER_INTERRUPT_ENABLE:
		if (divisor)
			serial->divisor = (uint16_t)((serial->divisor & 0x00ff) | value << 8);
		else
			write_interrupt_enable(serial, value);
		break;
	case REGISTER_INTERRUPT_ID:
		write_fifo_control(serial, value);
		break;
	case REGISTER_LINE_CONTROL:
		serial->line_control = value;
		break;
	case REGISTER_MODEM_CONTROL:
		write_modem_control(serial, value);
		break;
	case REGISTER_SCRATCH:
		serial->scratch = value;
		break;
	default: /* line and modem status are read-only */
		break;
	}
}

/* ---- the bus: wide accesses are as many byte accesses, as on an 8-bit bus ---- */

static void serial_on_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct serial *serial = opaque;

	pthread_mutex_lock(&serial->lock);
	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = read_register(serial, offset + i);
	serial_update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
}

static void serial_on_write(void *opaque, uint64_t offset, const uint8_t *data,
			    unsigned length_bytes)
{
	struct serial *serial = opaque;

	pthread_mutex_lock(&serial->lock);
	for (unsigned i = 0; i < length_bytes; i++)
		write_register(serial, offset + i, data[i]);
	serial_update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
}

const struct bus_device_ops serial_ops = {
	.name = "serial",
	.read = serial_on_read,
	.write = serial_on_write,
};

/* ---- power-on and restored values ---- */

void serial_power_on(struct serial *serial)
{
	serial->interrupt_enable = 0;
	serial->fifo_control = 0;
	serial->line_control = 0;
	serial->modem_control = 0;
	serial->modem_status = MSR_CONNECTED;
	serial->scratch = 0;
	serial->divisor = DIVISOR_9600;
	serial->overrun = false;
	serial->transmit_interrupt = false;
	serial->received_count = 0;
}

int serial_registers_check(const Bulkhead__Platform__Serial *state, struct error *err)
{
	if ((state->interrupt_enable & ~(uint32_t)IER_MASK) ||
	    (state->fifo_control & ~(uint32_t)FCR_MASK) || state->line_control > UINT8_MAX ||
	    (state->modem_control & ~(uint32_t)MCR_MASK) || state->modem_status > UINT8_MAX ||
	    state->scratch > UINT8_MAX || state->divisor > UINT16_MAX)
		return error_set(err, -EINVAL, "serial: a register is out of range");
	return 0;
}
