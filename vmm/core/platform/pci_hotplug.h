/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers through which PCI0 in dsdt.asl learns what was plugged and which device is to go,
 * and says when it may go: three bit masks of slots. The event that makes the guest look is
 * GPE_PCI_HOTPLUG. Handlers run on vCPU threads.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_PCI_HOTPLUG_H
#define BULKHEAD_VMM_CORE_PLATFORM_PCI_HOTPLUG_H

#include "ipc/error.h"
#include "proto/platform.pb-c.h"
#include "vmm/core/platform/bus.h"

#define PCI_HOTPLUG_BYTES 12 /* plugged, unplug wanted (reading clears); eject (write only) */

struct pci_hotplug;

extern const struct bus_device_ops pci_hotplug_ops; /* PORT_PCI_HOTPLUG */

/*
 * eject is called on a vCPU thread, without a lock held, for each slot (1 to 31) that the guest
 * lets go, asked to or not; may be NULL. NULL: out of memory.
 */
struct pci_hotplug *pci_hotplug_new(void (*eject)(void *opaque, unsigned slot), void *opaque);
void pci_hotplug_destroy(struct pci_hotplug *hotplug); /* accepts NULL */

/* Note for the guest; the caller raises the event. slot is 1 to 31. Any thread. */
void pci_hotplug_set_plugged(struct pci_hotplug *hotplug, unsigned slot);
void pci_hotplug_set_unplug_wanted(struct pci_hotplug *hotplug, unsigned slot);

void pci_hotplug_reset(struct pci_hotplug *hotplug); /* vCPUs stopped */

/* vCPUs stopped. restore: -EINVAL when slot 0, the host bridge, is among them. */
void pci_hotplug_save(struct pci_hotplug *hotplug, Bulkhead__Platform__PciHotplug *state);
int pci_hotplug_restore(struct pci_hotplug *hotplug, const Bulkhead__Platform__PciHotplug *state,
			struct error *err);

#endif
