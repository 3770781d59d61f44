/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register accesses of a hostile guest: the input is a list of 8-byte commands against a machine
 * with two virtio devices and the stand-in for KVM (linked with tests/vmm/core/pci/machine.c and
 * fake_kvm.c). Beyond not crashing, KVM must be used correctly and nothing be left behind.
 */
#include <linux/pci_regs.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/core/pci/machine.h"
#include "vmm/core/platform/memory_map.h"

#define SECOND_SLOT 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct command {
	uint8_t kind;
	uint8_t length_shift;
	uint16_t offset;
	uint32_t value;
};

enum command_kind {
	COMMAND_COMMON_WRITE,
	COMMAND_COMMON_READ,
	COMMAND_CONFIG_WRITE,
	COMMAND_CONFIG_READ,
	COMMAND_SECOND_CONFIG_WRITE,
	COMMAND_MSIX_WRITE,
	COMMAND_BAR_WRITE,
	COMMAND_BAR_READ,
	COMMAND_PORT_ADDRESS,
	COMMAND_PORT_DATA,
	COMMAND_PLACE_BAR,
	COMMAND_RESET_DONE,
	COMMAND_BACKEND_EVENT,
	COMMAND_POWER_ON,
	COMMAND_SAVE_RESTORE,
	COMMAND_DELIVER,
	COMMAND_COUNT,
};

static void save_restore(struct machine *machine)
{
	uint8_t *state = NULL;
	size_t state_bytes = 0;

	if (virtio_pci_save(machine->virtio, &state, &state_bytes, NULL) < 0)
		abort();
	virtio_pci_power_on_reset(machine->virtio);
	/* What a guest can bring about must be restorable. */
	if (virtio_pci_restore(machine->virtio, state, state_bytes, NULL) < 0)
		abort();
	free(state);
}

static void backend_event(struct machine *machine, const struct command *command)
{
	uint8_t space[32];

	memset(space, command->offset & 0xff, sizeof(space));
	if (command->value & 1)
		virtio_pci_set_needs_reset(machine->virtio);
	else
		virtio_pci_set_config_space(machine->virtio, space, command->value % sizeof(space));
	virtio_pci_kick_all(machine->virtio);
}

static void access_registers(struct machine *machine, const struct command *command)
{
	unsigned length = 1U << (command->length_shift & 3);
	uint64_t wide = (uint64_t)command->value << 32 | command->value;
	unsigned kind = command->kind % COMMAND_COUNT;
	unsigned slot = kind == COMMAND_SECOND_CONFIG_WRITE ? SECOND_SLOT : machine->slot;

	switch (kind) {
	case COMMAND_COMMON_WRITE:
		common_write(machine, command->offset & 0x3f, wide, length);
		break;
	case COMMAND_COMMON_READ:
		(void)common_read(machine, command->offset & 0x3f, length);
		break;
	case COMMAND_CONFIG_WRITE:
	case COMMAND_SECOND_CONFIG_WRITE:
		ecam_write(machine, slot, command->offset & 0xfff, wide, length);
		break;
	case COMMAND_CONFIG_READ:
		(void)ecam_read(machine, machine->slot, command->offset & 0xfff, length);
		break;
	case COMMAND_MSIX_WRITE:
		bar_write(machine, machine->layout.msix_table + (command->offset & 0x7f), wide,
			  length);
		break;
	case COMMAND_BAR_WRITE:
		bar_write(machine, command->offset, wide, length);
		break;
	case COMMAND_BAR_READ:
		(void)bar_read(machine, command->offset, length);
		break;
	case COMMAND_PORT_ADDRESS:
		pio_write(machine, PORT_PCI_ADDRESS, command->value, 4);
		break;
	case COMMAND_PORT_DATA:
		pio_write(machine, PORT_PCI_DATA + (command->offset & 3), wide,
			  length > 4 ? 4 : length);
		(void)pio_read(machine, PORT_PCI_DATA + (command->offset & 3), length & 7);
		break;
	case COMMAND_PLACE_BAR:
		ecam_write(machine, command->offset & 1 ? machine->slot : SECOND_SLOT,
			   PCI_BASE_ADDRESS_0, MAP_PCI_MMIO_START + (command->value & 0x3ffff), 4);
		break;
	default:
		break;
	}
}

static void run_command(struct machine *machine, const struct command *command)
{
	switch (command->kind % COMMAND_COUNT) {
	case COMMAND_RESET_DONE:
		virtio_pci_reset_done(machine->virtio);
		break;
	case COMMAND_BACKEND_EVENT:
		backend_event(machine, command);
		break;
	case COMMAND_POWER_ON:
		virtio_pci_power_on_reset(machine->virtio);
		break;
	case COMMAND_SAVE_RESTORE:
		save_restore(machine);
		break;
	case COMMAND_DELIVER:
		(void)fake_kvm_deliver(machine->vm, 0, 0);
		break;
	default:
		access_registers(machine, command);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_pci *second;
	struct command command;
	struct machine machine;

	machine_init(&machine);
	second = machine_add_virtio(&machine, "second", SECOND_SLOT, NULL);
	for (size_t at = 0; at + sizeof(command) <= size && at < 4096; at += sizeof(command)) {
		memcpy(&command, data + at, sizeof(command));
		run_command(&machine, &command);
	}
	virtio_pci_destroy(second);
	if (machine_destroy(&machine) != 0)
		abort();
	return 0;
}
