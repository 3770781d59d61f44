/* SPDX-License-Identifier: Apache-2.0 */
/* Bus scan, configuration access and the capability list. */
#include "pci.h"

#include "acpi.h"
#include "port.h"

#define CONFIG_ADDRESS	     0xCF8
#define CONFIG_DATA	     0xCFC
#define CONFIG_ENABLE	     0x80000000u
#define HEADER_MULTIFUNCTION 0x80
#define CAPABILITY_LIMIT     48

static uint16_t pci_select(const struct pci_device *device, uint16_t offset)
{
	port_write32(CONFIG_ADDRESS, CONFIG_ENABLE | ((uint32_t)device->slot << 11) |
					     ((uint32_t)device->function << 8) | (offset & 0xFCu));
	return (uint16_t)(CONFIG_DATA + (offset & 3));
}

uint8_t pci_read8(const struct pci_device *device, uint16_t offset)
{
	return port_read8(pci_select(device, offset));
}

uint16_t pci_read16(const struct pci_device *device, uint16_t offset)
{
	return port_read16(pci_select(device, offset));
}

uint32_t pci_read32(const struct pci_device *device, uint16_t offset)
{
	return port_read32(pci_select(device, offset));
}

void pci_write8(const struct pci_device *device, uint16_t offset, uint8_t value)
{
	port_write8(pci_select(device, offset), value);
}

void pci_write16(const struct pci_device *device, uint16_t offset, uint16_t value)
{
	port_write16(pci_select(device, offset), value);
}

void pci_write32(const struct pci_device *device, uint16_t offset, uint32_t value)
{
	port_write32(pci_select(device, offset), value);
}

uint64_t pci_ecam_address(const struct pci_bus *bus, const struct pci_device *device,
			  uint16_t offset)
{
	return bus->ecam_gpa + ((uint64_t)device->slot << 15) + ((uint64_t)device->function << 12) +
	       offset;
}

/* Returns false if nothing answers there. */
static bool pci_probe(struct pci_bus *bus, uint8_t slot, uint8_t function)
{
	struct pci_device device = {.slot = slot, .function = function};
	uint32_t ids = pci_read32(&device, PCI_VENDOR_ID);

	if ((ids & 0xFFFF) == 0xFFFF || bus->device_count == PCI_DEVICE_MAX) {
		return false;
	}
	device.vendor_id = (uint16_t)ids;
	device.device_id = (uint16_t)(ids >> 16);
	device.class_code = pci_read16(&device, PCI_CLASS);
	bus->devices[bus->device_count++] = device;
	return true;
}

void pci_scan(struct pci_bus *bus)
{
	bus->device_count = 0;
	bus->ecam_gpa = acpi_ecam_gpa();
	for (uint8_t slot = 0; slot < 32; slot++) {
		struct pci_device first = {.slot = slot};

		if (!pci_probe(bus, slot, 0) ||
		    !(pci_read8(&first, PCI_HEADER_TYPE) & HEADER_MULTIFUNCTION)) {
			continue;
		}
		for (uint8_t function = 1; function < 8; function++) {
			pci_probe(bus, slot, function);
		}
	}
}

uint8_t pci_find_capability(const struct pci_device *device, uint8_t id, uint8_t after)
{
	uint8_t offset;

	if (!(pci_read16(device, PCI_STATUS) & PCI_STATUS_CAPABILITIES)) {
		return 0;
	}
	offset = after == 0 ? pci_read8(device, PCI_CAPABILITIES)
			    : pci_read8(device, (uint16_t)(after + 1));
	for (int i = 0; i < CAPABILITY_LIMIT && offset >= 0x40; i++) {
		offset &= 0xFC;
		if (pci_read8(device, offset) == id) {
			return offset;
		}
		offset = pci_read8(device, (uint16_t)(offset + 1));
	}
	return 0;
}
