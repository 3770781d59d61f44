/* SPDX-License-Identifier: Apache-2.0 */
/* Random access to PCI configuration space, through the ports and through ECAM. */
#include <stddef.h>

#include "hostile.h"
#include "mmio.h"
#include "port.h"

#define CONFIG_ADDRESS 0xCF8
#define CONFIG_DATA    0xCFC
#define ECAM_BUS_BYTES 0x100000u

static const struct pci_device *config_pick_device(struct hostile *hostile)
{
	if (hostile->bridges && hostile->bus.device_count > 0)
		return &hostile->bus.devices[random_below(hostile->bus.device_count)];
	if (hostile->device_count == 0)
		return NULL;
	return hostile->devices[random_below(hostile->device_count)].pci;
}

static void config_write_port(const struct pci_device *device, uint16_t offset, uint32_t size,
			      uint32_t value)
{
	if (size == 1)
		pci_write8(device, offset, (uint8_t)value);
	else if (size == 2)
		pci_write16(device, (uint16_t)(offset & ~1u), (uint16_t)value);
	else
		pci_write32(device, (uint16_t)(offset & ~3u), value);
}

static void config_write_ecam(uint64_t gpa, uint32_t size, uint64_t value)
{
	/* Not aligned on purpose; one access never leaves the window, which is checked by the
	 * caller. */
	switch (size) {
	case 1:
		mmio_write8(gpa, (uint8_t)value);
		break;
	case 2:
		mmio_write16(gpa, (uint16_t)value);
		break;
	case 4:
		mmio_write32(gpa, (uint32_t)value);
		break;
	default:
		mmio_write64(gpa, value);
	}
}

/*
 * A BAR goes to a random place, is read there, and comes back: left where it is it would sooner or
 * later hide the registers of another device, and the run would lose its aim.
 */
static void config_move_bar(const struct pci_device *device)
{
	uint16_t offset = (uint16_t)(PCI_BAR0 + 4 * random_below(PCI_BAR_COUNT));
	uint32_t before = pci_read32(device, offset);
	uint64_t gpa;

	pci_write32(device, offset, random_one_in(2) ? (uint32_t)random_gpa() : random_u32());
	if (random_one_in(2))
		pci_write16(device, PCI_COMMAND, (uint16_t)random_u32());
	gpa = pci_read32(device, offset) & ~0xFull;
	if (gpa >= 0xC0000000ull && gpa < 0xFEC00000ull)
		mmio_read32(gpa + (random_below(0x1000) & ~3u));
	pci_write32(device, offset, before);
	pci_write16(device, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static bool config_is_bar(uint32_t offset)
{
	return offset + 7 >= PCI_BAR0 && offset < PCI_BAR0 + 4 * PCI_BAR_COUNT;
}

static void config_random_write(struct hostile *hostile, const struct pci_device *device)
{
	uint16_t offset = (uint16_t)random_below(0x100);
	uint32_t size = 1u << random_below(4);
	uint32_t value = random_interesting_u32();

	if (config_is_bar(offset)) {
		config_move_bar(device);
	} else if (hostile->bus.ecam_gpa != 0 && random_one_in(2)) {
		config_write_ecam(pci_ecam_address(&hostile->bus, device, offset), size,
				  ((uint64_t)random_u32() << 32) | value);
	} else {
		config_write_port(device, offset, size, value);
	}
	if (random_one_in(2))
		pci_write16(device, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void config_random_read(struct hostile *hostile)
{
	if (hostile->bus.ecam_gpa != 0 && random_one_in(2)) {
		mmio_read64(hostile->bus.ecam_gpa + random_below(ECAM_BUS_BYTES - 8));
		return;
	}
	port_write32(CONFIG_ADDRESS, random_u32());
	switch (random_below(3)) {
	case 0:
		port_read8((uint16_t)(CONFIG_DATA + random_below(4)));
		break;
	case 1:
		port_read16((uint16_t)(CONFIG_DATA + random_below(3)));
		break;
	default:
		port_read32(CONFIG_DATA);
	}
}

/* Empty slots and the extended space: writes there must have no effect. */
static void config_write_nothing(struct hostile *hostile)
{
	struct pci_device absent = {.slot = 29, .function = (uint8_t)(1 + random_below(7))};

	config_write_port(&absent, (uint16_t)random_below(0x100), 4, random_u32());
	if (hostile->bus.ecam_gpa != 0)
		mmio_write32(pci_ecam_address(&hostile->bus, &absent,
					      (uint16_t)(random_below(0x1000) & ~3u)),
			     random_u32());
}

void config_operation(struct hostile *hostile)
{
	const struct pci_device *device = config_pick_device(hostile);

	switch (random_below(4)) {
	case 0:
		config_random_read(hostile);
		break;
	case 1:
		config_write_nothing(hostile);
		break;
	default:
		if (device != NULL)
			config_random_write(hostile, device);
	}
}
