/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to end or restart the machine. */
#ifndef GUEST_POWER_H
#define GUEST_POWER_H

/*
 * Reads what power_off() needs from ACPI now, for guests that are about to overwrite the tables or
 * disturb the ports. Otherwise done by power_off() itself.
 */
void power_prepare(void);

/* ACPI S5; if that does nothing, an i8042 reset; if that does nothing either, halts for ever. */
void power_off(void) __attribute__((noreturn));

/* Pulses the reset line through the i8042. Returns if the machine ignored it. */
void power_reset_i8042(void);

/* Writes the FADT's reset register. Returns if there is none, or the machine ignored it. */
void power_reset_acpi(void);

#endif
