/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/virtio_state.h"
#include "vmm/core/pci/virtio_transport.h"

#define VIRTIO_STATUS_BITS                                                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |        \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

#define VIRTIO_ISR_BITS (1 | VIRTIO_PCI_ISR_CONFIG)

static int check_limit(const char *field, uint64_t value, uint64_t limit, struct error *err)
{
	if (value <= limit)
		return 0;
	return error_set(err, -EINVAL, "%s: %" PRIu64 " is out of range", field, value);
}

static int check_vector(const struct virtio_pci *virtio, const char *field, uint32_t vector,
			struct error *err)
{
	if (vector == VIRTIO_MSI_NO_VECTOR || vector < virtio->msix.vector_count)
		return 0;
	return error_set(err, -EINVAL, "%s: there is no vector %" PRIu32, field, vector);
}

static int check_identity(const struct virtio_pci *virtio,
			  const Bulkhead__Pci__VirtioPciState *state, struct error *err)
{
	if (state->version != VIRTIO_STATE_VERSION)
		return error_set(err, -EINVAL, "version %" PRIu32 " is not known", state->version);
	if (strcmp(state->id, virtio->id) != 0)
		return error_set(err, -EINVAL, "it belongs to another device");
	if (state->virtio_device_id != virtio->virtio_device_id)
		return error_set(err, -EINVAL, "virtio device id is %" PRIu32 ", not %u",
				 state->virtio_device_id, virtio->virtio_device_id);
	return 0;
}

static int check_bars(const struct virtio_pci *virtio, const Bulkhead__Pci__PciState *pci,
		      struct error *err)
{
	if (pci->n_bars > PCI_BAR_COUNT)
		return error_set(err, -EINVAL, "%zu BARs", pci->n_bars);
	for (size_t i = 0; i < pci->n_bars; i++) {
		uint32_t size_bytes = virtio->device.bars[i].size_bytes;

		if (size_bytes == 0 ? pci->bars[i] != 0 : (pci->bars[i] & (size_bytes - 1)) != 0)
			return error_set(err, -EINVAL, "BAR %zu cannot be at 0x%" PRIx32, i,
					 pci->bars[i]);
	}
	return 0;
}

static int check_pci(const struct virtio_pci *virtio, const Bulkhead__Pci__PciState *pci,
		     struct error *err)
{
	uint64_t writable = little_endian_load(&virtio->device.config.writable[PCI_COMMAND], 2);
	int result;

	if (!pci)
		return error_set(err, -EINVAL, "no PCI registers");
	if (pci->slot != virtio->device.slot)
		return error_set(err, -EINVAL, "slot is %" PRIu32 ", not %u", pci->slot,
				 virtio->device.slot);
	if (pci->command & ~writable)
		return error_set(err, -EINVAL, "PCI command 0x%" PRIx32, pci->command);
	result = check_limit("cache line size", pci->cache_line_size, UINT8_MAX, err);
	if (result == 0)
		result = check_limit("latency timer", pci->latency_timer, UINT8_MAX, err);
	if (result == 0)
		result = check_limit("interrupt line", pci->interrupt_line, UINT8_MAX, err);
	return result == 0 ? check_bars(virtio, pci, err) : result;
}

static int check_status(const struct virtio_pci *virtio, const Bulkhead__Pci__VirtioPciState *state,
			struct error *err)
{
	uint32_t status = state->device_status;
	bool negotiated = status & VIRTIO_CONFIG_S_FEATURES_OK;

	if ((status & ~VIRTIO_STATUS_BITS) || ((status & VIRTIO_CONFIG_S_DRIVER_OK) && !negotiated))
		return error_set(err, -EINVAL, "device status 0x%" PRIx32, status);
	if (negotiated && !virtio_features_acceptable(virtio, state->driver_features))
		return error_set(err, -EINVAL,
				 "the driver uses features 0x%" PRIx64 ", offered are 0x%" PRIx64,
				 state->driver_features, virtio->features);
	return 0;
}

static int check_registers(const struct virtio_pci *virtio,
			   const Bulkhead__Pci__VirtioPciState *state, struct error *err)
{
	int result = check_status(virtio, state, err);

	if (result == 0 && (state->interrupt_status & ~VIRTIO_ISR_BITS))
		result = error_set(err, -EINVAL, "interrupt status 0x%" PRIx32,
				   state->interrupt_status);
	if (result == 0)
		result = check_vector(virtio, "configuration", state->config_vector, err);
	if (result == 0)
		result = check_limit("queue select", state->queue_select, UINT16_MAX, err);
	if (result == 0)
		result = check_limit("generation", state->config_generation, UINT8_MAX, err);
	if (result == 0)
		result = check_limit("configuration size", state->config_space.len,
				     VIRTIO_PCI_MAX_CONFIG_SPACE, err);
	if (result == 0 && state->access_window)
		result =
			check_limit("access window BAR", state->access_window->bar, UINT8_MAX, err);
	return result;
}

static int check_queues(const struct virtio_pci *virtio, const Bulkhead__Pci__VirtioPciState *state,
			struct error *err)
{
	if (state->n_queues != virtio->queue_count)
		return error_set(err, -EINVAL, "%zu queues, the device has %u", state->n_queues,
				 virtio->queue_count);
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		const Bulkhead__Pci__VirtioQueueState *queue = state->queues[i];
		int result = 0;

		if (!virtio_queue_size_valid(virtio, i, queue->size))
			result = error_set(err, -EINVAL, "size %" PRIu32, queue->size);
		else if (queue->enabled && !(state->device_status & VIRTIO_CONFIG_S_FEATURES_OK))
			result = error_set(err, -EINVAL, "enabled before negotiation");
		else
			result = check_vector(virtio, "interrupt", queue->vector, err);
		if (result < 0) {
			error_prefix(err, "queue %u", i);
			return result;
		}
	}
	return 0;
}

static int check_msix(const struct virtio_pci *virtio, const Bulkhead__Pci__MsixState *msix,
		      struct error *err)
{
	if (!msix)
		return error_set(err, -EINVAL, "no MSI-X registers");
	if (msix->n_entries != virtio->msix.vector_count)
		return error_set(err, -EINVAL, "%zu interrupt vectors, the device has %u",
				 msix->n_entries, virtio->msix.vector_count);
	return 0;
}

int virtio_state_check(const struct virtio_pci *virtio, const Bulkhead__Pci__VirtioPciState *state,
		       struct error *err)
{
	int result = check_identity(virtio, state, err);

	if (result == 0)
		result = check_pci(virtio, state->pci, err);
	if (result == 0)
		result = check_registers(virtio, state, err);
	if (result == 0)
		result = check_queues(virtio, state, err);
	return result == 0 ? check_msix(virtio, state->msix, err) : result;
}
