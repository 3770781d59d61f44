/* SPDX-License-Identifier: Apache-2.0 */
/* Sizing, assigning and mapping BARs. */
#include "pci.h"

#include "boot_info.h"
#include "guest.h"
#include "paging.h"

#define BAR_IO		 0x1u
#define BAR_TYPE_MASK	 0x6u
#define BAR_TYPE_64_BIT	 0x4u
#define BAR_MEMORY_FLAGS 0xFu
#define BAR_IO_FLAGS	 0x3u
#define WINDOW_START	 0xC0000000ull /* just above where RAM ends on a machine with a 3 GiB split */
#define WINDOW_END	 0xFEC00000ull /* the IOAPIC */
#define ECAM_BUS_BYTES	 (256ull << 20)

static uint16_t pci_bar_offset(unsigned int index)
{
	return (uint16_t)(PCI_BAR0 + 4 * index);
}

struct pci_bar pci_read_bar(const struct pci_device *device, unsigned int index)
{
	uint16_t offset = pci_bar_offset(index);
	uint16_t command = pci_read16(device, PCI_COMMAND);
	uint32_t low = pci_read32(device, offset);
	uint32_t high = 0;
	uint64_t mask;
	struct pci_bar bar = {.is_io = low & BAR_IO};

	bar.is_64_bit = !bar.is_io && (low & BAR_TYPE_MASK) == BAR_TYPE_64_BIT;
	pci_write16(device, PCI_COMMAND,
		    (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY)));
	pci_write32(device, offset, 0xFFFFFFFFu);
	mask = pci_read32(device, offset);
	pci_write32(device, offset, low);
	if (bar.is_64_bit) {
		high = pci_read32(device, (uint16_t)(offset + 4));
		pci_write32(device, (uint16_t)(offset + 4), 0xFFFFFFFFu);
		mask |= (uint64_t)pci_read32(device, (uint16_t)(offset + 4)) << 32;
		pci_write32(device, (uint16_t)(offset + 4), high);
	} else if (mask != 0) {
		mask |= 0xFFFFFFFF00000000ull;
	}
	pci_write16(device, PCI_COMMAND, command);
	mask &= bar.is_io ? ~(uint64_t)BAR_IO_FLAGS : ~(uint64_t)BAR_MEMORY_FLAGS;
	bar.size_bytes = mask & (0 - mask); /* the lowest bit that can be set */
	bar.address = low & (bar.is_io ? ~BAR_IO_FLAGS : ~BAR_MEMORY_FLAGS);
	bar.address |= (uint64_t)high << 32;
	return bar;
}

static void pci_write_bar(const struct pci_device *device, unsigned int index,
			  const struct pci_bar *bar)
{
	uint16_t offset = pci_bar_offset(index);

	pci_write32(device, offset, (uint32_t)bar->address);
	if (bar->is_64_bit) {
		pci_write32(device, (uint16_t)(offset + 4), (uint32_t)(bar->address >> 32));
	}
}

/* The first free place of the window; places are never given back. */
static uint64_t pci_allocate(const struct pci_bus *bus, uint64_t size_bytes)
{
	static uint64_t next = WINDOW_START;
	uint64_t gpa = (next + size_bytes - 1) & ~(size_bytes - 1);

	if (bus->ecam_gpa != 0 && gpa < bus->ecam_gpa + ECAM_BUS_BYTES &&
	    gpa + size_bytes > bus->ecam_gpa) {
		gpa = (bus->ecam_gpa + ECAM_BUS_BYTES + size_bytes - 1) & ~(size_bytes - 1);
	}
	if (gpa + size_bytes > WINDOW_END || boot_info_is_ram(gpa, 1)) {
		guest_panic("no room for a BAR");
	}
	next = gpa + size_bytes;
	return gpa;
}

void pci_enable_device(const struct pci_bus *bus, const struct pci_device *device)
{
	uint16_t command = pci_read16(device, PCI_COMMAND);

	for (unsigned int index = 0; index < PCI_BAR_COUNT; index++) {
		struct pci_bar bar = pci_read_bar(device, index);

		if (!bar.is_io && bar.size_bytes != 0) {
			if (bar.address == 0) {
				bar.address = pci_allocate(bus, bar.size_bytes);
				pci_write_bar(device, index, &bar);
			}
			paging_map(bar.address, bar.size_bytes);
		}
		index += bar.is_64_bit ? 1 : 0;
	}
	pci_write16(device, PCI_COMMAND,
		    (uint16_t)(command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			       PCI_COMMAND_NO_INTX));
}
