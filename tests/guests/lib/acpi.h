/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guests need of ACPI (ACPI 6.5, chapter 5): the tables reached from the RSDP that the loader
 * named, and the fixed hardware registers of the FADT. No AML interpreter.
 */
#ifndef GUEST_ACPI_H
#define GUEST_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#define ACPI_CPU_MAX 64

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	uint32_t creator_id;
	uint32_t creator_revision;
};

/* A register block: gpa_or_port 0 means absent. */
struct acpi_register {
	bool is_memory;
	uint64_t address;
};

/* The parts of the FADT that guests use. */
struct acpi_fixed_hardware {
	bool present;
	bool hardware_reduced;
	struct acpi_register pm1a_event;
	struct acpi_register pm1a_control;
	struct acpi_register pm_timer;
	bool pm_timer_is_32_bit;
	struct acpi_register gpe0;
	uint8_t gpe0_size_bytes;
	bool reset_supported;
	struct acpi_register reset;
	uint8_t reset_value;
	struct acpi_register sleep_control;
	uint64_t dsdt_gpa;
	uint32_t smi_command_port;
};

/* The parts of the MADT that guests use. */
struct acpi_interrupt_model {
	bool present;
	uint32_t lapic_gpa;
	uint32_t cpu_count; /* enabled ones */
	uint8_t cpu_apic_id[ACPI_CPU_MAX];
	uint32_t ioapic_gpa; /* 0 if none */
	uint32_t ioapic_gsi_base;
	uint32_t isa_irq_gsi[16]; /* with the source overrides applied */
};

/* Returns the table with that signature, mapped and with its length, or NULL. */
const struct acpi_header *acpi_find_table(const char signature[4]);

/* True if the bytes of the table add up to zero. */
bool acpi_checksum_ok(const struct acpi_header *table);

/* The i-th table listed in the XSDT or RSDT, or NULL past the end. */
const struct acpi_header *acpi_table_at(uint32_t index);

/* Parses the FADT and MADT into *out; present is false if the table is not there. */
void acpi_read_fixed_hardware(struct acpi_fixed_hardware *out);
void acpi_read_interrupt_model(struct acpi_interrupt_model *out);

/* The ECAM window of PCI segment 0 that begins with bus 0, from the MCFG, or 0. */
uint64_t acpi_ecam_gpa(void);

/* SLP_TYPa of \_S5 as far as it can be read without an interpreter, else 5. */
uint8_t acpi_read_s5_sleep_type(const struct acpi_fixed_hardware *hardware);

/* Access to a register block at an offset from its start. */
void acpi_register_write8(const struct acpi_register *reg, uint32_t offset, uint8_t value);
void acpi_register_write16(const struct acpi_register *reg, uint32_t offset, uint16_t value);
uint16_t acpi_register_read16(const struct acpi_register *reg, uint32_t offset);
uint32_t acpi_register_read32(const struct acpi_register *reg, uint32_t offset);

#endif
