/* SPDX-License-Identifier: Apache-2.0 */
#include "msix.h"

#include "mmio.h"

#define CONTROL_OFFSET	      2
#define TABLE_OFFSET	      4
#define PENDING_OFFSET	      8
#define CONTROL_ENABLE	      0x8000u
#define CONTROL_FUNCTION_MASK 0x4000u
#define CONTROL_SIZE_MASK     0x07FFu
#define BAR_INDEX_MASK	      0x7u
#define ENTRY_SIZE_BYTES      16
#define ENTRY_DATA	      8
#define ENTRY_VECTOR_CONTROL  12
#define MESSAGE_ADDRESS_BASE  0xFEE00000u

/* Turns a register "BAR index and offset" into an address; 0 if the BAR cannot hold it. */
static uint64_t msix_resolve(const struct pci_device *device, uint32_t value, uint64_t size_bytes)
{
	uint32_t index = value & BAR_INDEX_MASK;
	uint64_t offset = value & ~BAR_INDEX_MASK;
	struct pci_bar bar;

	if (index >= PCI_BAR_COUNT) {
		return 0;
	}
	bar = pci_read_bar(device, index);
	if (bar.is_io || bar.address == 0 || offset + size_bytes > bar.size_bytes) {
		return 0;
	}
	return bar.address + offset;
}

bool msix_find(struct msix *msix, const struct pci_device *device)
{
	uint8_t at = pci_find_capability(device, PCI_CAPABILITY_MSIX, 0);

	*msix = (struct msix){.device = device, .capability = at};
	if (at == 0) {
		return false;
	}
	msix->entry_count = (uint16_t)((msix_read_control(msix) & CONTROL_SIZE_MASK) + 1);
	msix->table_gpa = msix_resolve(device, pci_read32(device, (uint16_t)(at + TABLE_OFFSET)),
				       (uint64_t)msix->entry_count * ENTRY_SIZE_BYTES);
	msix->pending_gpa =
		msix_resolve(device, pci_read32(device, (uint16_t)(at + PENDING_OFFSET)),
			     (msix->entry_count + 63u) / 64u * 8u);
	return msix->table_gpa != 0 && msix->pending_gpa != 0;
}

uint16_t msix_read_control(const struct msix *msix)
{
	return pci_read16(msix->device, (uint16_t)(msix->capability + CONTROL_OFFSET));
}

void msix_set_control(struct msix *msix, bool enabled, bool function_masked)
{
	uint16_t control = msix_read_control(msix) & CONTROL_SIZE_MASK;

	control = (uint16_t)(control | (enabled ? CONTROL_ENABLE : 0) |
			     (function_masked ? CONTROL_FUNCTION_MASK : 0));
	pci_write16(msix->device, (uint16_t)(msix->capability + CONTROL_OFFSET), control);
}

uint64_t msix_entry_address(const struct msix *msix, uint16_t entry)
{
	return msix->table_gpa + (uint64_t)entry * ENTRY_SIZE_BYTES;
}

void msix_set_entry(struct msix *msix, uint16_t entry, uint8_t apic_id, uint8_t vector, bool masked)
{
	uint64_t gpa = msix_entry_address(msix, entry);

	mmio_write32(gpa + ENTRY_VECTOR_CONTROL, 1); /* a half-written entry must not fire */
	mmio_write32(gpa, MESSAGE_ADDRESS_BASE | ((uint32_t)apic_id << 12));
	mmio_write32(gpa + 4, 0);
	mmio_write32(gpa + ENTRY_DATA, vector);
	mmio_write32(gpa + ENTRY_VECTOR_CONTROL, masked ? 1 : 0);
}

void msix_set_masked(struct msix *msix, uint16_t entry, bool masked)
{
	mmio_write32(msix_entry_address(msix, entry) + ENTRY_VECTOR_CONTROL, masked ? 1 : 0);
}

bool msix_is_pending(const struct msix *msix, uint16_t entry)
{
	uint32_t word = mmio_read32(msix->pending_gpa + entry / 32u * 4u);

	return (word >> (entry % 32u)) & 1;
}
