/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_pci.h"

#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "mmio.h"

enum structure_type {
	STRUCTURE_COMMON = 1,
	STRUCTURE_NOTIFY = 2,
	STRUCTURE_ISR = 3,
	STRUCTURE_DEVICE = 4,
};

#define CAP_TYPE	      3
#define CAP_BAR		      4
#define CAP_OFFSET	      8
#define CAP_LENGTH	      12
#define CAP_NOTIFY_MULTIPLIER 16
#define RESET_TIMEOUT_US      1000000

/* Address of the structure a capability describes; 0 if it does not fit its BAR. */
static uint64_t virtio_structure_gpa(const struct pci_device *pci, uint8_t capability)
{
	uint8_t index = pci_read8(pci, (uint16_t)(capability + CAP_BAR));
	uint64_t offset = pci_read32(pci, (uint16_t)(capability + CAP_OFFSET));
	uint64_t length = pci_read32(pci, (uint16_t)(capability + CAP_LENGTH));
	struct pci_bar bar;

	if (index >= PCI_BAR_COUNT) {
		return 0;
	}
	bar = pci_read_bar(pci, index);
	if (bar.is_io || bar.address == 0 || offset + length > bar.size_bytes) {
		return 0;
	}
	return bar.address + offset;
}

/* The first capability of a type counts (virtio 1.2, 4.1.4.1: the preferred one comes first). */
static void virtio_read_structure(struct virtio_device *device, uint8_t capability)
{
	uint64_t gpa = virtio_structure_gpa(device->pci, capability);
	uint32_t length = pci_read32(device->pci, (uint16_t)(capability + CAP_LENGTH));

	switch (pci_read8(device->pci, (uint16_t)(capability + CAP_TYPE))) {
	case STRUCTURE_COMMON:
		if (device->common_gpa == 0 && length >= VIRTIO_COMMON_SIZE) {
			device->common_gpa = gpa;
		}
		break;
	case STRUCTURE_NOTIFY:
		if (device->notify_gpa == 0) {
			device->notify_gpa = gpa;
			device->notify_size_bytes = length;
			device->notify_multiplier = pci_read32(
				device->pci, (uint16_t)(capability + CAP_NOTIFY_MULTIPLIER));
		}
		break;
	case STRUCTURE_ISR:
		device->isr_gpa = device->isr_gpa == 0 ? gpa : device->isr_gpa;
		break;
	case STRUCTURE_DEVICE:
		if (device->config_gpa == 0) {
			device->config_gpa = gpa;
			device->config_size_bytes = length;
		}
		break;
	default:
		break; /* PCI_CFG and types that we do not know */
	}
}

const char *virtio_pci_probe(struct virtio_device *device, const struct pci_bus *bus,
			     const struct pci_device *pci)
{
	uint8_t capability = 0;

	*device = (struct virtio_device){.pci = pci};
	if (pci->vendor_id != VIRTIO_VENDOR_ID || pci->device_id < VIRTIO_PCI_DEVICE_BASE ||
	    pci->device_id > VIRTIO_PCI_DEVICE_BASE + 0x3F) {
		return "not virtio";
	}
	device->type = (uint16_t)(pci->device_id - VIRTIO_PCI_DEVICE_BASE);
	pci_enable_device(bus, pci);
	while ((capability = pci_find_capability(pci, PCI_CAPABILITY_VENDOR, capability)) != 0) {
		virtio_read_structure(device, capability);
	}
	if (device->common_gpa == 0) {
		return "no common configuration structure";
	}
	if (device->notify_gpa == 0) {
		return "no notification structure";
	}
	if (device->isr_gpa == 0) {
		return "no ISR status structure";
	}
	return msix_find(&device->msix, pci) ? NULL : "no usable MSI-X capability";
}

bool virtio_pci_find(struct virtio_device *device, const struct pci_bus *bus, uint16_t type,
		     uint32_t index)
{
	for (uint32_t i = 0; i < bus->device_count; i++) {
		const struct pci_device *pci = &bus->devices[i];

		if (pci->vendor_id != VIRTIO_VENDOR_ID ||
		    pci->device_id != VIRTIO_PCI_DEVICE_BASE + type) {
			continue;
		}
		if (index-- == 0) {
			return virtio_pci_probe(device, bus, pci) == NULL;
		}
	}
	return false;
}

uint16_t virtio_common_read16(const struct virtio_device *device, uint32_t offset)
{
	return mmio_read16(device->common_gpa + offset);
}

uint32_t virtio_common_read32(const struct virtio_device *device, uint32_t offset)
{
	return mmio_read32(device->common_gpa + offset);
}

void virtio_common_write16(const struct virtio_device *device, uint32_t offset, uint16_t value)
{
	mmio_write16(device->common_gpa + offset, value);
}

void virtio_common_write32(const struct virtio_device *device, uint32_t offset, uint32_t value)
{
	mmio_write32(device->common_gpa + offset, value);
}

void virtio_common_write64(const struct virtio_device *device, uint32_t offset, uint64_t value)
{
	mmio_write32(device->common_gpa + offset, (uint32_t)value);
	mmio_write32(device->common_gpa + offset + 4, (uint32_t)(value >> 32));
}

uint8_t virtio_read_status(const struct virtio_device *device)
{
	return mmio_read8(device->common_gpa + VIRTIO_COMMON_DEVICE_STATUS);
}

void virtio_write_status(struct virtio_device *device, uint8_t status)
{
	mmio_write8(device->common_gpa + VIRTIO_COMMON_DEVICE_STATUS, status);
}

bool virtio_reset(struct virtio_device *device)
{
	uint64_t end = clock_now_us() + RESET_TIMEOUT_US;

	virtio_write_status(device, 0);
	while (virtio_read_status(device) != 0) {
		if (clock_now_us() > end) {
			return false;
		}
		cpu_relax();
	}
	return true;
}

uint64_t virtio_read_device_features(const struct virtio_device *device)
{
	uint64_t low;

	virtio_common_write32(device, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 0);
	low = virtio_common_read32(device, VIRTIO_COMMON_DEVICE_FEATURE);
	virtio_common_write32(device, VIRTIO_COMMON_DEVICE_FEATURE_SELECT, 1);
	return low | ((uint64_t)virtio_common_read32(device, VIRTIO_COMMON_DEVICE_FEATURE) << 32);
}

static void virtio_write_driver_features(struct virtio_device *device)
{
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 0);
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE, (uint32_t)device->features);
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 1);
	virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE,
			      (uint32_t)(device->features >> 32));
}

const char *virtio_begin(struct virtio_device *device, uint64_t wanted_features)
{
	if (!virtio_reset(device)) {
		return "the device does not finish its reset";
	}
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE);
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	device->features =
		virtio_read_device_features(device) & (wanted_features | VIRTIO_F_VERSION_1);
	if (!(device->features & VIRTIO_F_VERSION_1)) {
		return "VERSION_1 is not offered";
	}
	virtio_write_driver_features(device);
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	if (!(virtio_read_status(device) & VIRTIO_FEATURES_OK)) {
		return "FEATURES_OK was refused";
	}
	msix_set_control(&device->msix, true, false);
	for (uint16_t entry = 0; entry < device->msix.entry_count; entry++) {
		msix_set_masked(&device->msix, entry, true);
	}
	return NULL;
}

void virtio_finish(struct virtio_device *device)
{
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK |
					    VIRTIO_DRIVER_OK);
}

uint16_t virtio_queue_count(const struct virtio_device *device)
{
	return virtio_common_read16(device, VIRTIO_COMMON_NUM_QUEUES);
}
