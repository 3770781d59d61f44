/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capabilities by which a driver finds the structures in BAR 0 (virtio 1.2, 4.1.4), and the one
 * that lets it reach them through config space (4.1.4.9).
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/virtio_transport.h"

#define NOTIFY_CAPABILITY_BYTES (sizeof(struct virtio_pci_notify_cap))
#define ACCESS_CAPABILITY_BYTES (sizeof(struct virtio_pci_cfg_cap))
#define ACCESS_DATA_OFFSET	(sizeof(struct virtio_pci_cap))

struct virtio_structure {
	uint8_t type;
	uint32_t bar_offset;
	uint32_t size_bytes;
	unsigned capability_bytes;
};

/* Returns the offset of the new capability or a negative errno. */
static int virtio_capability_add(struct virtio_pci *virtio,
				 const struct virtio_structure *structure)
{
	uint8_t capability[ACCESS_CAPABILITY_BYTES] = {0};

	capability[VIRTIO_PCI_CAP_LEN] = (uint8_t)structure->capability_bytes;
	capability[VIRTIO_PCI_CAP_CFG_TYPE] = structure->type;
	little_endian_store(&capability[VIRTIO_PCI_CAP_OFFSET], 4, structure->bar_offset);
	little_endian_store(&capability[VIRTIO_PCI_CAP_LENGTH], 4, structure->size_bytes);
	if (structure->type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		little_endian_store(&capability[VIRTIO_PCI_NOTIFY_CAP_MULT], 4,
				    VIRTIO_NOTIFY_MULTIPLIER);
	return pci_config_add_capability(&virtio->device.config, PCI_CAP_ID_VNDR,
					 &capability[VIRTIO_PCI_CAP_LEN],
					 structure->capability_bytes);
}

static int virtio_access_capability_add(struct virtio_pci *virtio)
{
	static const struct virtio_structure structure = {
		.type = VIRTIO_PCI_CAP_PCI_CFG,
		.capability_bytes = ACCESS_CAPABILITY_BYTES,
	};
	struct pci_config *config = &virtio->device.config;
	int offset = virtio_capability_add(virtio, &structure);

	if (offset < 0)
		return offset;
	virtio->pci_access_capability = (unsigned)offset;
	pci_config_allow_write(config, (unsigned)offset + VIRTIO_PCI_CAP_BAR, 1);
	pci_config_allow_write(config, (unsigned)offset + VIRTIO_PCI_CAP_OFFSET,
			       ACCESS_CAPABILITY_BYTES - VIRTIO_PCI_CAP_OFFSET);
	return 0;
}

static int virtio_msix_capability_add(struct virtio_pci *virtio)
{
	static const uint8_t writable = (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	struct pci_config *config = &virtio->device.config;
	uint8_t body[MSIX_CAPABILITY_SIZE - 2];
	int offset;

	msix_fill_capability(&virtio->msix, VIRTIO_BAR_MSIX_TABLE, VIRTIO_BAR_MSIX_PBA, body);
	offset = pci_config_add_capability(config, PCI_CAP_ID_MSIX, body, MSIX_CAPABILITY_SIZE);
	if (offset < 0)
		return offset;
	virtio->msix_capability = (unsigned)offset;
	config->writable[offset + PCI_MSIX_FLAGS + 1] = writable;
	return 0;
}

int virtio_capabilities_add(struct virtio_pci *virtio, struct error *err)
{
	const struct virtio_structure structures[] = {
		{VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_BAR_COMMON, VIRTIO_COMMON_BYTES,
		 sizeof(struct virtio_pci_cap)},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_BAR_NOTIFY,
		 virtio->queue_count * VIRTIO_NOTIFY_MULTIPLIER, NOTIFY_CAPABILITY_BYTES},
		{VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_BAR_ISR, 1, sizeof(struct virtio_pci_cap)},
		{VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_BAR_DEVICE, virtio->config_space_bytes,
		 sizeof(struct virtio_pci_cap)},
	};
	int result = virtio_msix_capability_add(virtio);

	for (size_t i = 0; result >= 0 && i < sizeof(structures) / sizeof(structures[0]); i++)
		if (structures[i].size_bytes > 0)
			result = virtio_capability_add(virtio, &structures[i]);
	if (result >= 0)
		result = virtio_access_capability_add(virtio);
	return result < 0 ? error_set_errno(err, result, "PCI capabilities") : 0;
}

/*
 * What the driver's access through config space is for: true when cap.bar, cap.offset and
 * cap.length name something (virtio 1.2, 4.1.4.9.2).
 */
static bool virtio_access_target(const struct virtio_pci *virtio, uint32_t *offset,
				 unsigned *length_bytes)
{
	const uint8_t *capability = &virtio->device.config.bytes[virtio->pci_access_capability];
	uint32_t length = (uint32_t)little_endian_load(&capability[VIRTIO_PCI_CAP_LENGTH], 4);

	*offset = (uint32_t)little_endian_load(&capability[VIRTIO_PCI_CAP_OFFSET], 4);
	*length_bytes = length;
	return capability[VIRTIO_PCI_CAP_BAR] == 0 && (length == 1 || length == 2 || length == 4) &&
	       *offset % length == 0 && *offset < VIRTIO_BAR_SIZE;
}

static bool virtio_access_data_touched(const struct virtio_pci *virtio, unsigned offset,
				       unsigned length_bytes)
{
	return pci_config_touches(offset, length_bytes,
				  virtio->pci_access_capability + ACCESS_DATA_OFFSET, 4);
}

void virtio_config_reading(struct pci_device *device, unsigned offset, unsigned length_bytes)
{
	struct virtio_pci *virtio = (struct virtio_pci *)device;
	uint32_t target;
	unsigned target_bytes;

	if (virtio_access_data_touched(virtio, offset, length_bytes) &&
	    virtio_access_target(virtio, &target, &target_bytes))
		virtio_bar_read(
			virtio, target,
			&device->config.bytes[virtio->pci_access_capability + ACCESS_DATA_OFFSET],
			target_bytes);
}

void virtio_msix_control_changed(struct virtio_pci *virtio)
{
	uint8_t control = virtio->device.config.bytes[virtio->msix_capability + PCI_MSIX_FLAGS + 1];

	msix_set_control(&virtio->msix, control & PCI_MSIX_FLAGS_ENABLE >> 8,
			 control & PCI_MSIX_FLAGS_MASKALL >> 8);
}

void virtio_config_written(struct pci_device *device, unsigned offset, unsigned length_bytes)
{
	struct virtio_pci *virtio = (struct virtio_pci *)device;
	uint32_t target;
	unsigned target_bytes;

	if (pci_config_touches(offset, length_bytes, virtio->msix_capability + PCI_MSIX_FLAGS, 2))
		virtio_msix_control_changed(virtio);
	if (virtio_access_data_touched(virtio, offset, length_bytes) &&
	    virtio_access_target(virtio, &target, &target_bytes))
		virtio_bar_write(
			virtio, target,
			&device->config.bytes[virtio->pci_access_capability + ACCESS_DATA_OFFSET],
			target_bytes);
}
