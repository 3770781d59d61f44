/* SPDX-License-Identifier: Apache-2.0 */
/* The transport's state into a snapshot (proto/pci.proto). */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>

#include "proto/pci.pb-c.h"
#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/virtio_state.h"
#include "vmm/core/pci/virtio_transport.h"

/* A message tree without allocations: everything it points to is in here. */
struct save_tree {
	Bulkhead__Pci__VirtioPciState state;
	Bulkhead__Pci__PciState pci;
	Bulkhead__Pci__PciAccessWindow window;
	Bulkhead__Pci__MsixState msix;
	Bulkhead__Pci__MsixEntry entries[MSIX_MAX_VECTORS];
	Bulkhead__Pci__MsixEntry *entry_pointers[MSIX_MAX_VECTORS];
	Bulkhead__Pci__VirtioQueueState queues[VIRTIO_PCI_MAX_QUEUES];
	Bulkhead__Pci__VirtioQueueState *queue_pointers[VIRTIO_PCI_MAX_QUEUES];
	uint32_t bars[PCI_BAR_COUNT];
};

static void save_pci(struct virtio_pci *virtio, struct save_tree *tree)
{
	const struct pci_config *config = &virtio->device.config;

	bulkhead__pci__pci_state__init(&tree->pci);
	tree->pci.slot = virtio->device.slot;
	tree->pci.command = (uint32_t)little_endian_load(&config->bytes[PCI_COMMAND], 2);
	tree->pci.cache_line_size = config->bytes[PCI_CACHE_LINE_SIZE];
	tree->pci.latency_timer = config->bytes[PCI_LATENCY_TIMER];
	tree->pci.interrupt_line = config->bytes[PCI_INTERRUPT_LINE];
	for (unsigned i = 0; i < PCI_BAR_COUNT; i++)
		tree->bars[i] = pci_config_bar_address(config, i);
	tree->pci.n_bars = PCI_BAR_COUNT;
	tree->pci.bars = tree->bars;
	tree->state.pci = &tree->pci;
}

static void save_window(struct virtio_pci *virtio, struct save_tree *tree)
{
	const uint8_t *capability = &virtio->device.config.bytes[virtio->pci_access_capability];

	bulkhead__pci__pci_access_window__init(&tree->window);
	tree->window.bar = capability[VIRTIO_PCI_CAP_BAR];
	tree->window.offset = (uint32_t)little_endian_load(&capability[VIRTIO_PCI_CAP_OFFSET], 4);
	tree->window.length = (uint32_t)little_endian_load(&capability[VIRTIO_PCI_CAP_LENGTH], 4);
	tree->state.access_window = &tree->window;
}

static void save_msix(struct virtio_pci *virtio, struct save_tree *tree)
{
	const struct msix *msix = &virtio->msix;

	bulkhead__pci__msix_state__init(&tree->msix);
	tree->msix.enabled = msix->enabled;
	tree->msix.function_masked = msix->function_masked;
	for (unsigned i = 0; i < msix->vector_count; i++) {
		const uint8_t *entry = &msix->table[(size_t)i * MSIX_ENTRY_BYTES];

		bulkhead__pci__msix_entry__init(&tree->entries[i]);
		tree->entries[i].address = little_endian_load(entry + PCI_MSIX_ENTRY_LOWER_ADDR, 8);
		tree->entries[i].data =
			(uint32_t)little_endian_load(entry + PCI_MSIX_ENTRY_DATA, 4);
		tree->entries[i].masked =
			entry[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		tree->entry_pointers[i] = &tree->entries[i];
	}
	tree->msix.n_entries = msix->vector_count;
	tree->msix.entries = tree->entry_pointers;
	tree->state.msix = &tree->msix;
}

static void save_queues(struct virtio_pci *virtio, const struct virtio_registers *registers,
			struct save_tree *tree)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		const struct virtio_queue_registers *queue = &registers->queues[i];

		bulkhead__pci__virtio_queue_state__init(&tree->queues[i]);
		tree->queues[i].size = queue->size;
		tree->queues[i].enabled = queue->enabled;
		tree->queues[i].descriptor_area = queue->descriptor_area;
		tree->queues[i].driver_area = queue->driver_area;
		tree->queues[i].device_area = queue->device_area;
		tree->queues[i].vector = queue->vector;
		tree->queues[i].interrupt_pending =
			!virtio->resetting && msix_source_is_pending(&virtio->msix, i);
		tree->queue_pointers[i] = &tree->queues[i];
	}
	tree->state.n_queues = virtio->queue_count;
	tree->state.queues = tree->queue_pointers;
}

static void save_registers(struct virtio_pci *virtio, const struct virtio_registers *registers,
			   struct save_tree *tree)
{
	Bulkhead__Pci__VirtioPciState *state = &tree->state;

	state->version = VIRTIO_STATE_VERSION;
	state->id = virtio->id;
	state->virtio_device_id = virtio->virtio_device_id;
	state->device_status = registers->status;
	state->interrupt_status = registers->isr;
	state->device_feature_select = registers->device_feature_select;
	state->driver_feature_select = registers->driver_feature_select;
	state->driver_features = registers->driver_features;
	state->config_vector = registers->config_vector;
	state->config_interrupt_pending =
		!virtio->resetting && msix_source_is_pending(&virtio->msix, virtio->queue_count);
	state->queue_select = registers->queue_select;
	state->config_generation = virtio->config_generation;
	state->config_space.len = virtio->config_space_bytes;
	state->config_space.data = virtio->config_space;
}

int virtio_pci_save(struct virtio_pci *virtio, uint8_t **state, size_t *state_bytes,
		    struct error *err)
{
	struct virtio_registers registers;
	struct save_tree *tree = calloc(1, sizeof(*tree));
	uint8_t *packed = NULL;

	if (!tree)
		return error_set(err, -ENOMEM, "device \"%s\": out of memory", virtio->id);
	bulkhead__pci__virtio_pci_state__init(&tree->state);
	pthread_mutex_lock(&virtio->device.mutex);
	registers = virtio->registers;
	/* A reset that was asked for is over by the time this is restored: the backend of the
	 * restored machine starts fresh. */
	if (virtio->resetting)
		virtio_registers_reset(virtio, &registers);
	save_registers(virtio, &registers, tree);
	save_queues(virtio, &registers, tree);
	save_msix(virtio, tree);
	save_pci(virtio, tree);
	save_window(virtio, tree);
	*state_bytes = bulkhead__pci__virtio_pci_state__get_packed_size(&tree->state);
	packed = malloc(*state_bytes);
	if (packed)
		bulkhead__pci__virtio_pci_state__pack(&tree->state, packed);
	pthread_mutex_unlock(&virtio->device.mutex);
	free(tree);
	if (!packed)
		return error_set(err, -ENOMEM, "device \"%s\": out of memory", virtio->id);
	*state = packed;
	return 0;
}
