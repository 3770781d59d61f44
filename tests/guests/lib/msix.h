/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X (PCI Local Bus 3.0, 6.8.2): the capability, the table and the pending bits. */
#ifndef GUEST_MSIX_H
#define GUEST_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

struct msix {
	const struct pci_device *device;
	uint8_t capability; /* 0 if the device has none */
	uint16_t entry_count;
	uint64_t table_gpa;
	uint64_t pending_gpa;
};

/* Finds the capability; BARs must be assigned. Returns false if there is none or it is bad. */
bool msix_find(struct msix *msix, const struct pci_device *device);

/* Sets the enable and function mask bits. */
void msix_set_control(struct msix *msix, bool enabled, bool function_masked);
uint16_t msix_read_control(const struct msix *msix);

/* Programs an entry for a fixed interrupt on the CPU with that APIC id, masked or not. */
void msix_set_entry(struct msix *msix, uint16_t entry, uint8_t apic_id, uint8_t vector,
		    bool masked);

/* Sets only the mask bit of an entry. */
void msix_set_masked(struct msix *msix, uint16_t entry, bool masked);

/* The pending bit of an entry. */
bool msix_is_pending(const struct msix *msix, uint16_t entry);

/* Address of an entry of the table, for callers that write it raw. */
uint64_t msix_entry_address(const struct msix *msix, uint16_t entry);

#endif
