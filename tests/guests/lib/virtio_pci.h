/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio PCI transport, modern only (virtio 1.2, 4.1): structures in BARs found through the
 * vendor capabilities, device status, feature negotiation, one MSI-X vector per queue and one for
 * configuration changes.
 */
#ifndef GUEST_VIRTIO_PCI_H
#define GUEST_VIRTIO_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "msix.h"
#include "pci.h"

#define VIRTIO_VENDOR_ID       0x1AF4
#define VIRTIO_PCI_DEVICE_BASE 0x1040
#define VIRTIO_NO_VECTOR       0xFFFF
#define VIRTIO_MSIX_MAX	       16 /* entries that drivers use; a device may have more */

enum virtio_type {
	VIRTIO_NET = 1,
	VIRTIO_BLOCK = 2,
	VIRTIO_CONSOLE = 3,
	VIRTIO_RNG = 4,
};

enum virtio_status {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)
#define VIRTIO_F_RING_RESET    (1ull << 40)

/* Offsets in the common configuration structure (virtio 1.2, 4.1.4.3). */
enum virtio_common_offset {
	VIRTIO_COMMON_DEVICE_FEATURE_SELECT = 0x00,
	VIRTIO_COMMON_DEVICE_FEATURE = 0x04,
	VIRTIO_COMMON_DRIVER_FEATURE_SELECT = 0x08,
	VIRTIO_COMMON_DRIVER_FEATURE = 0x0C,
	VIRTIO_COMMON_CONFIG_VECTOR = 0x10,
	VIRTIO_COMMON_NUM_QUEUES = 0x12,
	VIRTIO_COMMON_DEVICE_STATUS = 0x14,
	VIRTIO_COMMON_CONFIG_GENERATION = 0x15,
	VIRTIO_COMMON_QUEUE_SELECT = 0x16,
	VIRTIO_COMMON_QUEUE_SIZE = 0x18,
	VIRTIO_COMMON_QUEUE_VECTOR = 0x1A,
	VIRTIO_COMMON_QUEUE_ENABLE = 0x1C,
	VIRTIO_COMMON_QUEUE_NOTIFY_OFF = 0x1E,
	VIRTIO_COMMON_QUEUE_DESC = 0x20,
	VIRTIO_COMMON_QUEUE_DRIVER = 0x28,
	VIRTIO_COMMON_QUEUE_DEVICE = 0x30,
	VIRTIO_COMMON_SIZE = 0x38,
};

struct virtio_device {
	const struct pci_device *pci;
	uint16_t type;
	uint64_t common_gpa;
	uint64_t notify_gpa;
	uint64_t notify_size_bytes;
	uint32_t notify_multiplier;
	uint64_t isr_gpa;
	uint64_t config_gpa; /* 0 if the device type has no configuration */
	uint64_t config_size_bytes;
	struct msix msix;
	uint64_t features; /* negotiated */
	/* By MSI-X entry: the CPU's vector (0: none yet) and how often it came. */
	uint8_t entry_vector[VIRTIO_MSIX_MAX];
	volatile uint32_t entry_interrupts[VIRTIO_MSIX_MAX];
};

/*
 * Finds the structures of a PCI device and enables it. Returns NULL, or what is wrong with it
 * ("not virtio" if it is another device altogether).
 */
const char *virtio_pci_probe(struct virtio_device *device, const struct pci_bus *bus,
			     const struct pci_device *pci);

/* The index-th device of that type on the bus, probed. Returns false if there is none. */
bool virtio_pci_find(struct virtio_device *device, const struct pci_bus *bus, uint16_t type,
		     uint32_t index);

/* Device status. Reset waits, for at most a second, until the device says 0; false on time-out. */
uint8_t virtio_read_status(const struct virtio_device *device);
void virtio_write_status(struct virtio_device *device, uint8_t status);
bool virtio_reset(struct virtio_device *device);

/* What the device offers. */
uint64_t virtio_read_device_features(const struct virtio_device *device);

/*
 * Resets, acknowledges and negotiates wanted & offered (VERSION_1 is always asked for); MSI-X is
 * enabled with every entry masked. Returns NULL, or what failed.
 */
const char *virtio_begin(struct virtio_device *device, uint64_t wanted_features);

/* Sets DRIVER_OK. */
void virtio_finish(struct virtio_device *device);

uint16_t virtio_queue_count(const struct virtio_device *device);

/* Registers of the common configuration. */
uint16_t virtio_common_read16(const struct virtio_device *device, uint32_t offset);
uint32_t virtio_common_read32(const struct virtio_device *device, uint32_t offset);
void virtio_common_write16(const struct virtio_device *device, uint32_t offset, uint16_t value);
void virtio_common_write32(const struct virtio_device *device, uint32_t offset, uint32_t value);

/* Writes a 64-bit address register as two halves, as the specification demands of drivers. */
void virtio_common_write64(const struct virtio_device *device, uint32_t offset, uint64_t value);

#endif
