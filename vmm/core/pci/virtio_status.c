/* SPDX-License-Identifier: Apache-2.0 */
/* device_status: negotiation, activation and reset (virtio 1.2, 2.1 and 3.1). */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "vmm/core/pci/virtio_transport.h"

void virtio_registers_reset(const struct virtio_pci *virtio, struct virtio_registers *registers)
{
	memset(registers, 0, sizeof(*registers));
	registers->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		registers->queues[i].size = virtio->queue_max_sizes[i];
		registers->queues[i].vector = VIRTIO_MSI_NO_VECTOR;
	}
}

void virtio_transport_reset(struct virtio_pci *virtio)
{
	virtio->resetting = false;
	virtio_registers_reset(virtio, &virtio->registers);
	virtio_bind_vectors(virtio);
	/* Kicks and interrupts of the life that ended. The backend is idle now. */
	for (unsigned i = 0; i < virtio->msix.source_count; i++)
		(void)msix_source_drain(&virtio->msix, i);
	for (unsigned i = 0; i < virtio->queue_count; i++)
		virtio_notify_drain(virtio, i);
}

bool virtio_features_acceptable(const struct virtio_pci *virtio, uint64_t driver_features)
{
	return (driver_features & ~virtio->features) == 0 &&
	       (driver_features & 1ULL << VIRTIO_F_VERSION_1);
}

void virtio_activation_fill(const struct virtio_pci *virtio, struct virtio_activation *activation)
{
	memset(activation, 0, sizeof(*activation));
	activation->features = virtio->registers.driver_features;
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		const struct virtio_queue_registers *queue = &virtio->registers.queues[i];

		if (!queue->enabled)
			continue;
		activation->queues[activation->queue_count++] = (struct virtio_queue_setup){
			.index = (uint16_t)i,
			.size = queue->size,
			.descriptor_area = queue->descriptor_area,
			.driver_area = queue->driver_area,
			.device_area = queue->device_area,
			.kick_fd = virtio->kick_fds[i],
			.call_fd = virtio->msix.sources[i].eventfd,
		};
	}
}

static void virtio_reset_requested(struct virtio_pci *virtio)
{
	if (!(virtio->registers.status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		virtio_transport_reset(virtio);
		return;
	}
	virtio->resetting = true;
	virtio->ops->reset(virtio->opaque);
}

static void virtio_activate(struct virtio_pci *virtio)
{
	struct virtio_activation activation;

	virtio_activation_fill(virtio, &activation);
	virtio->ops->activate(virtio->opaque, &activation);
}

void virtio_status_write(struct virtio_pci *virtio, uint8_t status)
{
	uint8_t *current = &virtio->registers.status;
	uint8_t added;

	if (status == 0) {
		virtio_reset_requested(virtio);
		return;
	}
	/* Bits are only ever added by the driver, and NEEDS_RESET by the device alone. */
	added = (uint8_t)(status & ~*current & ~VIRTIO_CONFIG_S_NEEDS_RESET);
	*current |= added &
		    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FAILED);
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    virtio_features_acceptable(virtio, virtio->registers.driver_features))
		*current |= VIRTIO_CONFIG_S_FEATURES_OK;
	if (!(added & VIRTIO_CONFIG_S_DRIVER_OK) || !(*current & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    (*current & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	*current |= VIRTIO_CONFIG_S_DRIVER_OK;
	virtio_activate(virtio);
}

void virtio_config_interrupt(struct virtio_pci *virtio)
{
	/* Before DRIVER_OK the driver reads everything anyway (virtio 1.2, 3.1.1). */
	if (!(virtio->registers.status & VIRTIO_CONFIG_S_DRIVER_OK) || virtio->resetting)
		return;
	virtio->registers.isr |= VIRTIO_PCI_ISR_CONFIG;
	msix_source_signal(&virtio->msix, virtio->queue_count);
}
