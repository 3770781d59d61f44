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

/*
 * Plug a device into slot `slot` (1..31, or -1: the first free one): its BARs get addresses, its
 * config space becomes visible. -EEXIST: taken, -ENOSPC: no slot or no room for a BAR. The device
 * stays the caller's. Unplugging returns when no handler of the device runs any more; accepts a
 * device that is not plugged. Not from a bus handler.
 */
int pci_bus_plug(struct pci_bus *bus, struct pci_device *device, int slot, struct error *err);
void pci_bus_unplug(struct pci_device *device);

/*
 * Make the MMIO bus follow the BAR and command registers of every device. A BAR that cannot be
 * where the guest put it (outside of the PCI window, over another BAR) does not decode. From
 * bus_defer() or outside of handlers, without a device's mutex.
 */
void pci_bus_place_bars(struct pci_bus *bus);

/* The config address register, for snapshots. */
uint32_t pci_bus_get_address(struct pci_bus *bus);
void pci_bus_set_address(struct pci_bus *bus, uint32_t address);

#endif
