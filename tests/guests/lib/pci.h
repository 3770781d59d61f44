/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI bus 0: configuration space through the type-1 ports and through ECAM, capabilities and BARs
 * (PCI Local Bus 3.0, 3.2.2.3.2 and chapter 6; PCI Express 7.2.2).
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_BAR_COUNT  6
#define PCI_DEVICE_MAX 64

enum pci_config_offset {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x0A,
	PCI_HEADER_TYPE = 0x0E,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_ID = 0x2E,
	PCI_CAPABILITIES = 0x34,
};

#define PCI_COMMAND_IO		0x1u
#define PCI_COMMAND_MEMORY	0x2u
#define PCI_COMMAND_MASTER	0x4u
#define PCI_COMMAND_NO_INTX	0x400u
#define PCI_STATUS_CAPABILITIES 0x10u
#define PCI_CAPABILITY_VENDOR	0x09
#define PCI_CAPABILITY_MSIX	0x11

struct pci_bar {
	bool is_io;
	bool is_64_bit;
	uint64_t address;    /* 0 if unassigned or absent */
	uint64_t size_bytes; /* 0 if absent */
};

struct pci_device {
	uint8_t slot;
	uint8_t function;
	uint16_t vendor_id;
	uint16_t device_id;
	uint16_t class_code; /* base class and subclass */
};

struct pci_bus {
	uint64_t ecam_gpa; /* 0 if there is no MCFG */
	uint32_t device_count;
	struct pci_device devices[PCI_DEVICE_MAX];
};

/* Scans bus 0 (all functions). */
void pci_scan(struct pci_bus *bus);

/* Configuration access through ports 0xCF8/0xCFC; offset must be aligned to the size. */
uint8_t pci_read8(const struct pci_device *device, uint16_t offset);
uint16_t pci_read16(const struct pci_device *device, uint16_t offset);
uint32_t pci_read32(const struct pci_device *device, uint16_t offset);
void pci_write8(const struct pci_device *device, uint16_t offset, uint8_t value);
void pci_write16(const struct pci_device *device, uint16_t offset, uint16_t value);
void pci_write32(const struct pci_device *device, uint16_t offset, uint32_t value);

/* Address of a register of the device in ECAM; bus->ecam_gpa must not be 0. */
uint64_t pci_ecam_address(const struct pci_bus *bus, const struct pci_device *device,
			  uint16_t offset);

/*
 * Returns the offset of the first capability with that id after the one at offset `after` (0 for
 * the first of all), or 0. Stops on a list that loops.
 */
uint8_t pci_find_capability(const struct pci_device *device, uint8_t id, uint8_t after);

/* Sizes the BAR (decoding is off meanwhile). A 64-bit BAR is described by its first index. */
struct pci_bar pci_read_bar(const struct pci_device *device, unsigned int index);

/*
 * Enables memory decoding and bus mastering, gives addresses in the hole below 4 GiB to memory
 * BARs that the firmware left unassigned, and maps all memory BARs.
 */
void pci_enable_device(const struct pci_bus *bus, const struct pci_device *device);

#endif
