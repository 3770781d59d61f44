/* SPDX-License-Identifier: Apache-2.0 */
/* Random access to the machine's ports: ACPI, serial, i8042, CMOS, PIT, and those nobody claims. */
#include "hostile.h"
#include "port.h"
#include "serial.h"

#define SLEEP_ENABLE  (1u << 13)
#define I8042_DATA    0x60
#define I8042_COMMAND 0x64
#define CMOS_INDEX    0x70
#define CMOS_DATA     0x71
#define PIT_FIRST     0x40
#define POST_CODE     0x80

static void port_acpi_write(struct hostile *hostile)
{
	const struct acpi_fixed_hardware *hardware = &hostile->hardware;
	uint16_t value = (uint16_t)random_u32();

	if (!hostile->allow_reset)
		value &= (uint16_t)~SLEEP_ENABLE;
	switch (random_below(4)) {
	case 0:
		if (hardware->pm1a_control.address != 0)
			acpi_register_write16(&hardware->pm1a_control, 0, value);
		break;
	case 1:
		if (hardware->pm1a_event.address != 0)
			acpi_register_write16(&hardware->pm1a_event, 2 * random_below(2), value);
		break;
	case 2:
		if (hardware->gpe0.address != 0 && hardware->gpe0_size_bytes != 0)
			acpi_register_write8(&hardware->gpe0,
					     random_below(hardware->gpe0_size_bytes),
					     (uint8_t)value);
		break;
	default:
		if (hardware->pm1a_event.address != 0)
			acpi_register_read32(&hardware->pm1a_event, 0);
		if (hardware->pm_timer.address != 0)
			acpi_register_read32(&hardware->pm_timer, 0);
	}
}

/* Data bytes are printable, so that the transcript of the run stays readable. */
static void port_serial(const struct hostile *hostile)
{
	uint16_t index = (uint16_t)random_below(8);

	if (random_one_in(2)) {
		port_read8((uint16_t)(SERIAL_BASE + index));
		if (!hostile->narrow)
			port_read16((uint16_t)(SERIAL_BASE + index));
	} else if (index == 0) {
		port_write8(SERIAL_BASE, (uint8_t)(' ' + random_below(95)));
	} else {
		port_write8((uint16_t)(SERIAL_BASE + index), (uint8_t)random_u32());
	}
}

/* Commands that pulse the reset line (F0 and up) or drive the output port (D0 and up) are left out.
 */
static void port_i8042(struct hostile *hostile)
{
	uint8_t command = (uint8_t)random_u32();

	if (!hostile->allow_reset && command >= 0xD0)
		command &= 0x7F;
	switch (random_below(4)) {
	case 0:
		port_write8(I8042_COMMAND, command);
		break;
	case 1:
		port_write8(I8042_DATA, (uint8_t)random_u32());
		break;
	case 2:
		port_read8(I8042_DATA);
		break;
	default:
		port_read8(I8042_COMMAND);
	}
}

static void port_cmos(void)
{
	port_write8(CMOS_INDEX, (uint8_t)random_u32());
	if (random_one_in(2))
		port_write8(CMOS_DATA, (uint8_t)random_u32());
	else
		port_read8(CMOS_DATA);
}

static void port_extra(struct hostile *hostile)
{
	uint16_t port;

	if (hostile->extra_port_count == 0)
		return;
	port = (uint16_t)(hostile->extra_port + random_below(hostile->extra_port_count));
	if (random_one_in(2))
		port_write8(port, (uint8_t)random_u32());
	else
		port_write32((uint16_t)(port & ~3u), random_interesting_u32());
}

/* Reads of any width anywhere; writes only where no machine has anything that ends the guest. */
static void port_anywhere(const struct hostile *hostile)
{
	uint16_t port = (uint16_t)random_u32();

	switch (hostile->narrow ? 2 + random_below(3) : random_below(5)) {
	case 2:
		port_read8(port);
		break;
	case 1:
		port_read16(port);
		break;
	case 0:
		port_read32(port);
		break;
	case 3:
		port_write8((uint16_t)(PIT_FIRST + random_below(4)), (uint8_t)random_u32());
		break;
	default:
		port_write8(POST_CODE, (uint8_t)random_u32());
	}
}

void port_operation(struct hostile *hostile)
{
	switch (random_below(7)) {
	case 0:
	case 1:
		port_acpi_write(hostile);
		break;
	case 2:
		port_serial(hostile);
		break;
	case 3:
		port_i8042(hostile);
		break;
	case 4:
		port_cmos();
		break;
	case 5:
		port_extra(hostile);
		break;
	default:
		port_anywhere(hostile);
	}
}
