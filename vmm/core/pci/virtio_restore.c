/* SPDX-License-Identifier: Apache-2.0 */
/* The transport's state out of a snapshot: checked whole, then applied. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "proto/pci.pb-c.h"
#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/virtio_state.h"
#include "vmm/core/pci/virtio_transport.h"

static void restore_field(struct pci_config *config, unsigned offset, unsigned length_bytes,
			  uint32_t value)
{
	uint8_t bytes[4];

	/* Through the write masks, as if the guest had written it. */
	little_endian_store(bytes, length_bytes, value);
	pci_config_write(config, offset, bytes, length_bytes);
}

static void restore_pci(struct virtio_pci *virtio, const Bulkhead__Pci__VirtioPciState *state)
{
	struct pci_config *config = &virtio->device.config;
	const Bulkhead__Pci__PciState *pci = state->pci;
	const Bulkhead__Pci__PciAccessWindow *window = state->access_window;
	uint32_t control = (state->msix->enabled ? PCI_MSIX_FLAGS_ENABLE : 0) |
			   (state->msix->function_masked ? PCI_MSIX_FLAGS_MASKALL : 0);

	restore_field(config, PCI_COMMAND, 2, pci->command);
	restore_field(config, PCI_CACHE_LINE_SIZE, 1, pci->cache_line_size);
	restore_field(config, PCI_LATENCY_TIMER, 1, pci->latency_timer);
	restore_field(config, PCI_INTERRUPT_LINE, 1, pci->interrupt_line);
	for (unsigned i = 0; i < pci->n_bars; i++)
		pci_config_set_bar_address(config, i, pci->bars[i]);
	restore_field(config, virtio->msix_capability + PCI_MSIX_FLAGS, 2, control);
	if (!window)
		return;
	restore_field(config, virtio->pci_access_capability + VIRTIO_PCI_CAP_BAR, 1, window->bar);
	restore_field(config, virtio->pci_access_capability + VIRTIO_PCI_CAP_OFFSET, 4,
		      window->offset);
	restore_field(config, virtio->pci_access_capability + VIRTIO_PCI_CAP_LENGTH, 4,
		      window->length);
}

static void restore_registers(struct virtio_pci *virtio, const Bulkhead__Pci__VirtioPciState *state)
{
	struct virtio_registers *registers = &virtio->registers;

	registers->status = (uint8_t)state->device_status;
	registers->isr = (uint8_t)state->interrupt_status;
	registers->device_feature_select = state->device_feature_select;
	registers->driver_feature_select = state->driver_feature_select;
	registers->driver_features = state->driver_features;
	registers->config_vector = (uint16_t)state->config_vector;
	registers->queue_select = (uint16_t)state->queue_select;
	virtio->config_generation = (uint8_t)state->config_generation;
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		const Bulkhead__Pci__VirtioQueueState *queue = state->queues[i];

		registers->queues[i] = (struct virtio_queue_registers){
			.size = (uint16_t)queue->size,
			.vector = (uint16_t)queue->vector,
			.enabled = queue->enabled,
			.descriptor_area = queue->descriptor_area,
			.driver_area = queue->driver_area,
			.device_area = queue->device_area,
		};
	}
}

/* Pending interrupts first: a vector that can deliver then does so when its irqfd is assigned. */
static void restore_interrupts(struct virtio_pci *virtio,
			       const Bulkhead__Pci__VirtioPciState *state)
{
	for (unsigned i = 0; i < virtio->queue_count; i++)
		if (state->queues[i]->interrupt_pending)
			msix_source_signal(&virtio->msix, i);
	if (state->config_interrupt_pending)
		msix_source_signal(&virtio->msix, virtio->queue_count);
	for (unsigned i = 0; i < virtio->msix.vector_count; i++) {
		const Bulkhead__Pci__MsixEntry *entry = state->msix->entries[i];

		msix_set_entry(&virtio->msix, i, entry->address, entry->data, entry->masked);
	}
	virtio_bind_vectors(virtio);
	virtio_msix_control_changed(virtio);
}

/* The worker of the restored device may have been given another backing: the driver must look. */
static void restore_config_space(struct virtio_pci *virtio,
				 const Bulkhead__Pci__VirtioPciState *state)
{
	if (state->config_space.len == virtio->config_space_bytes &&
	    (virtio->config_space_bytes == 0 ||
	     memcmp(state->config_space.data, virtio->config_space, virtio->config_space_bytes) ==
		     0))
		return;
	virtio->config_generation++;
	virtio_config_interrupt(virtio);
}

static int restore_checked(struct virtio_pci *virtio, const Bulkhead__Pci__VirtioPciState *state,
			   struct error *err)
{
	int result;

	pthread_mutex_lock(&virtio->device.mutex);
	result = virtio_state_check(virtio, state, err);
	if (result == 0) {
		restore_pci(virtio, state);
		restore_registers(virtio, state);
		restore_interrupts(virtio, state);
		restore_config_space(virtio, state);
	}
	pthread_mutex_unlock(&virtio->device.mutex);
	return result;
}

int virtio_pci_restore(struct virtio_pci *virtio, const uint8_t *state, size_t state_bytes,
		       struct error *err)
{
	Bulkhead__Pci__VirtioPciState *unpacked = NULL;
	int result = -EINVAL;

	if (state_bytes > 0 && state_bytes <= VIRTIO_STATE_MAX_BYTES)
		unpacked = bulkhead__pci__virtio_pci_state__unpack(NULL, state_bytes, state);
	if (unpacked)
		result = restore_checked(virtio, unpacked, err);
	else
		error_set(err, result, "not a saved state");
	bulkhead__pci__virtio_pci_state__free_unpacked(unpacked, NULL);
	if (result < 0) {
		error_prefix(err, "device \"%s\": PCI state", virtio->id);
		return result;
	}
	pci_bus_place_bars(virtio->device.bus);
	return 0;
}
