/* SPDX-License-Identifier: Apache-2.0 */
/* BAR 0: which structure an access is for. */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "vmm/core/pci/virtio_transport.h"

#define VIRTIO_BAR_PAGE_MASK 0xfffU

/*
 * Reading clears (virtio 1.2, 4.1.4.5). Used buffer interrupts that could not be delivered because
 * MSI-X is off show here; with MSI-X on, only the configuration bit is used.
 */
static uint8_t virtio_isr_take(struct virtio_pci *virtio)
{
	uint8_t isr = virtio->registers.isr;

	virtio->registers.isr = 0;
	if (virtio->msix.enabled)
		return isr;
	for (unsigned i = 0; i < virtio->queue_count; i++)
		if (msix_source_drain(&virtio->msix, i))
			isr |= 1;
	(void)msix_source_drain(&virtio->msix, virtio->queue_count);
	return isr;
}

static void virtio_device_config_read(const struct virtio_pci *virtio, unsigned offset,
				      uint8_t *data, unsigned length_bytes)
{
	for (unsigned i = 0; i < length_bytes; i++)
		if (offset + i < virtio->config_space_bytes)
			data[i] = virtio->config_space[offset + i];
}

void virtio_bar_read(struct virtio_pci *virtio, uint64_t offset, uint8_t *data,
		     unsigned length_bytes)
{
	unsigned within = (unsigned)(offset & VIRTIO_BAR_PAGE_MASK);

	memset(data, 0, length_bytes);
	switch (offset & ~(uint64_t)VIRTIO_BAR_PAGE_MASK) {
	case VIRTIO_BAR_COMMON:
		virtio_common_read(virtio, within, data, length_bytes);
		break;
	case VIRTIO_BAR_ISR:
		if (within == 0)
			data[0] = virtio_isr_take(virtio);
		break;
	case VIRTIO_BAR_DEVICE:
		virtio_device_config_read(virtio, within, data, length_bytes);
		break;
	case VIRTIO_BAR_MSIX_TABLE:
		msix_table_read(&virtio->msix, within, data, length_bytes);
		break;
	case VIRTIO_BAR_MSIX_PBA:
		msix_pba_read(&virtio->msix, within, data, length_bytes);
		break;
	default:
		break;
	}
}

/* The device configuration is read-only here: writes are dropped. */
void virtio_bar_write(struct virtio_pci *virtio, uint64_t offset, const uint8_t *data,
		      unsigned length_bytes)
{
	unsigned within = (unsigned)(offset & VIRTIO_BAR_PAGE_MASK);

	switch (offset & ~(uint64_t)VIRTIO_BAR_PAGE_MASK) {
	case VIRTIO_BAR_COMMON:
		virtio_common_write(virtio, within, data, length_bytes);
		break;
	case VIRTIO_BAR_NOTIFY:
		if (within / VIRTIO_NOTIFY_MULTIPLIER < virtio->queue_count)
			virtio_notify_signal(virtio, within / VIRTIO_NOTIFY_MULTIPLIER);
		break;
	case VIRTIO_BAR_MSIX_TABLE:
		msix_table_write(&virtio->msix, within, data, length_bytes);
		break;
	default:
		break;
	}
}

static void virtio_bar_on_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct virtio_pci *virtio = opaque;

	pthread_mutex_lock(&virtio->device.mutex);
	virtio_bar_read(virtio, offset, data, length_bytes);
	pthread_mutex_unlock(&virtio->device.mutex);
}

static void virtio_bar_on_write(void *opaque, uint64_t offset, const uint8_t *data,
				unsigned length_bytes)
{
	struct virtio_pci *virtio = opaque;

	pthread_mutex_lock(&virtio->device.mutex);
	virtio_bar_write(virtio, offset, data, length_bytes);
	pthread_mutex_unlock(&virtio->device.mutex);
}

const struct bus_device_ops virtio_bar_ops = {
	.name = "virtio-pci",
	.read = virtio_bar_on_read,
	.write = virtio_bar_on_write,
};
