/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI root: bus 0 with 32 slots of one function each, reached through type-1 ports and ECAM.
 * Slot 0 is the host bridge. BARs are assigned at plug time and may be moved by the guest.
 */
#ifndef BULKHEAD_VMM_CORE_PCI_PCI_BUS_H
#define BULKHEAD_VMM_CORE_PCI_PCI_BUS_H

#include <stdint.h>

#include "ipc/error.h"
#include "vmm/core/platform/bus.h"

struct pci_bus;
struct pci_device; /* vmm/core/pci/pci_device.h */

/* Registers its port and ECAM ranges; both buses outlive it. */
struct pci_bus *pci_bus_new(struct bus *pio, struct bus *mmio, struct error *err);
void pci_bus_destroy(struct pci_bus *bus); /* accepts NULL; devices are gone before */

struct bus *pci_bus_mmio(struct pci_bus *bus);

/* The config address register, for snapshots. */
uint32_t pci_bus_get_address(struct pci_bus *bus);
void pci_bus_set_address(struct pci_bus *bus, uint32_t address);

#endif
