/* SPDX-License-Identifier: Apache-2.0 */
#include "serial.h"

#include "cpu.h"
#include "port.h"

enum {
	UART_DATA = 0,
	UART_INTERRUPT_ENABLE = 1,
	UART_FIFO_CONTROL = 2,
	UART_LINE_CONTROL = 3,
	UART_MODEM_CONTROL = 4,
	UART_LINE_STATUS = 5,
};

#define LINE_CONTROL_8N1       0x03
#define LINE_CONTROL_DLAB      0x80
#define LINE_STATUS_DATA_READY 0x01
#define LINE_STATUS_TX_EMPTY   0x20
#define TX_POLL_LIMIT	       100000

void serial_init(void)
{
	port_write8(SERIAL_BASE + UART_LINE_CONTROL, LINE_CONTROL_DLAB);
	port_write8(SERIAL_BASE + UART_DATA, 1);
	port_write8(SERIAL_BASE + UART_INTERRUPT_ENABLE, 0);
	port_write8(SERIAL_BASE + UART_LINE_CONTROL, LINE_CONTROL_8N1);
	port_write8(SERIAL_BASE + UART_INTERRUPT_ENABLE, 0);
	port_write8(SERIAL_BASE + UART_FIFO_CONTROL, 0x01);
	port_write8(SERIAL_BASE + UART_MODEM_CONTROL, 0x03);
}

void serial_write_byte(uint8_t byte)
{
	for (uint32_t i = 0; i < TX_POLL_LIMIT; i++) {
		if (port_read8(SERIAL_BASE + UART_LINE_STATUS) & LINE_STATUS_TX_EMPTY) {
			break;
		}
		cpu_relax();
	}
	port_write8(SERIAL_BASE + UART_DATA, byte);
}

bool serial_read_byte(uint8_t *byte)
{
	if (!(port_read8(SERIAL_BASE + UART_LINE_STATUS) & LINE_STATUS_DATA_READY)) {
		return false;
	}
	*byte = port_read8(SERIAL_BASE + UART_DATA);
	return true;
}
