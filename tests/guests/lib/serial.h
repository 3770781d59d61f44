/* SPDX-License-Identifier: Apache-2.0 */
/* The first 16550A UART, polled. It is the guests' only way to speak to the test that runs them. */
#ifndef GUEST_SERIAL_H
#define GUEST_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

#define SERIAL_BASE 0x3F8

/* Sets 115200 baud, 8N1, FIFOs on, interrupts off. May be called again at any time. */
void serial_init(void);

/* Writes one byte; waits for room, but not for ever: a broken UART must not hang the guest. */
void serial_write_byte(uint8_t byte);

/* Returns true and the byte if one has been received. */
bool serial_read_byte(uint8_t *byte);

#endif
