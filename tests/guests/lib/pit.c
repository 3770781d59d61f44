/* SPDX-License-Identifier: Apache-2.0 */
#include "pit.h"

#include "port.h"

#define PIT_CHANNEL_0		 0x40
#define PIT_COMMAND		 0x43
#define COMMAND_CHANNEL_0_MODE_2 0x34
#define COMMAND_CHANNEL_0_LATCH	 0x00

void pit_start(uint16_t divisor)
{
	port_write8(PIT_COMMAND, COMMAND_CHANNEL_0_MODE_2);
	port_write8(PIT_CHANNEL_0, (uint8_t)divisor);
	port_write8(PIT_CHANNEL_0, (uint8_t)(divisor >> 8));
}

uint16_t pit_read_count(void)
{
	uint8_t low;

	port_write8(PIT_COMMAND, COMMAND_CHANNEL_0_LATCH);
	low = port_read8(PIT_CHANNEL_0);
	return (uint16_t)(low | (port_read8(PIT_CHANNEL_0) << 8));
}

void pit_start_countdown(void)
{
	pit_start(0);
}

uint64_t pit_elapsed_us(void)
{
	uint16_t elapsed = (uint16_t)(0u - pit_read_count());

	return (uint64_t)elapsed * 1000000 / PIT_HZ;
}
