/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include <stdint.h>

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "port.h"
#include "print.h"

#define I8042_COMMAND		 0x64
#define I8042_PULSE_RESET	 0xFE
#define SLEEP_ENABLE		 (1u << 13)
#define SLEEP_TYPE_SHIFT	 10
#define REDUCED_SLEEP_ENABLE	 (1u << 5)
#define REDUCED_SLEEP_TYPE_SHIFT 2
#define SETTLE_US		 500000

static struct acpi_fixed_hardware hardware;
static uint8_t s5_sleep_type;

void power_prepare(void)
{
	if (!hardware.present) {
		acpi_read_fixed_hardware(&hardware);
		s5_sleep_type = acpi_read_s5_sleep_type(&hardware);
	}
}

static void power_enter_s5(void)
{
	if (hardware.hardware_reduced && hardware.sleep_control.address != 0) {
		acpi_register_write8(&hardware.sleep_control, 0,
				     (uint8_t)(REDUCED_SLEEP_ENABLE |
					       (s5_sleep_type << REDUCED_SLEEP_TYPE_SHIFT)));
	} else if (hardware.pm1a_control.address != 0) {
		acpi_register_write16(
			&hardware.pm1a_control, 0,
			(uint16_t)(SLEEP_ENABLE | (s5_sleep_type << SLEEP_TYPE_SHIFT)));
	}
}

void power_off(void)
{
	cpu_disable_interrupts();
	power_prepare();
	power_enter_s5();
	clock_delay_us(SETTLE_US);
	print("POWER OFF FAILED\n");
	power_reset_i8042();
	cpu_halt_forever();
}

void power_reset_i8042(void)
{
	port_write8(I8042_COMMAND, I8042_PULSE_RESET);
	clock_delay_us(SETTLE_US);
}

void power_reset_acpi(void)
{
	power_prepare();
	if (!hardware.reset_supported || hardware.reset.address == 0) {
		return;
	}
	acpi_register_write8(&hardware.reset, 0, hardware.reset_value);
	clock_delay_us(SETTLE_US);
}
