/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PCI function: its config space, its BARs and where on the MMIO bus they are now. Embedded in
 * the device that implements it.
 *
 * Locks, in the order they are taken:
 *   1. the bus's placement lock: plugging and moving BARs; never taken by a register handler
 *   2. the MMIO bus's own lock: shared around every BAR access, exclusive to move a BAR
 *   3. the bus's slot lock: config accesses
 *   4. the device's mutex: config space and registers
 * Only the placement lock is held while the MMIO bus is changed.
 */
#ifndef BULKHEAD_VMM_CORE_PCI_PCI_DEVICE_H
#define BULKHEAD_VMM_CORE_PCI_PCI_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/pci/pci_config.h"
#include "vmm/core/platform/bus.h"

struct pci_bus;
struct pci_device;

/* Callbacks may be NULL, and so may the whole table. */
struct pci_device_ops {
	/* Before the guest reads, after it wrote config space; under the device's mutex. */
	void (*config_reading)(struct pci_device *device, unsigned offset, unsigned length_bytes);
	void (*config_written)(struct pci_device *device, unsigned offset, unsigned length_bytes);
	/* A BAR begins to decode at gpa, is about to stop; under the placement lock only. */
	void (*bar_mapped)(struct pci_device *device, unsigned index, uint64_t gpa);
	void (*bar_unmapping)(struct pci_device *device, unsigned index);
};

struct pci_bar {
	uint32_t size_bytes; /* 0: there is none */
	const struct bus_device_ops *ops;
	void *opaque;
	bool mapped; /* these two under the placement lock */
	uint64_t gpa;
};

struct pci_device {
	const struct pci_device_ops *ops;
	struct pci_bus *bus; /* NULL while unplugged */
	unsigned slot;
	pthread_mutex_t mutex;
	struct pci_config config;
	struct pci_bar bars[PCI_BAR_COUNT];
};

void pci_device_init(struct pci_device *device, const struct pci_device_ops *ops,
		     const struct pci_identity *identity);
void pci_device_destroy(struct pci_device *device); /* unplugged */

/* Before plugging. size_bytes is a power of two of at least 16; ops are called with opaque, without
 * any of this file's locks but the bus's. */
void pci_device_add_bar(struct pci_device *device, unsigned index, uint32_t size_bytes,
			const struct bus_device_ops *ops, void *opaque);

/* Config accesses of the guest, from a bus handler. */
void pci_device_config_read(struct pci_device *device, unsigned offset, uint8_t *data,
			    unsigned length_bytes);
void pci_device_config_write(struct pci_device *device, unsigned offset, const uint8_t *data,
			     unsigned length_bytes);

/*
 * The two halves of moving BARs, for pci_bus_place_bars() and unplugging, under the placement lock:
 * take off the MMIO bus those that the guest moved or disabled (or all), and put on it those that
 * are wanted and fit.
 */
void pci_device_unmap_bars(struct pci_device *device, struct bus *mmio, bool all);
void pci_device_map_bars(struct pci_device *device, struct bus *mmio);

#endif
