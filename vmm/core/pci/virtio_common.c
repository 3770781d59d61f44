/* SPDX-License-Identifier: Apache-2.0 */
/* The common configuration structure (virtio 1.2, 4.1.4.3). */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stddef.h>

#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/virtio_transport.h"

struct common_field {
	uint8_t offset;
	uint8_t length_bytes;
};

static const struct common_field common_fields[] = {
	{VIRTIO_PCI_COMMON_DFSELECT, 4},  {VIRTIO_PCI_COMMON_DF, 4},
	{VIRTIO_PCI_COMMON_GFSELECT, 4},  {VIRTIO_PCI_COMMON_GF, 4},
	{VIRTIO_PCI_COMMON_MSIX, 2},	  {VIRTIO_PCI_COMMON_NUMQ, 2},
	{VIRTIO_PCI_COMMON_STATUS, 1},	  {VIRTIO_PCI_COMMON_CFGGENERATION, 1},
	{VIRTIO_PCI_COMMON_Q_SELECT, 2},  {VIRTIO_PCI_COMMON_Q_SIZE, 2},
	{VIRTIO_PCI_COMMON_Q_MSIX, 2},	  {VIRTIO_PCI_COMMON_Q_ENABLE, 2},
	{VIRTIO_PCI_COMMON_Q_NOFF, 2},	  {VIRTIO_PCI_COMMON_Q_DESCLO, 4},
	{VIRTIO_PCI_COMMON_Q_DESCHI, 4},  {VIRTIO_PCI_COMMON_Q_AVAILLO, 4},
	{VIRTIO_PCI_COMMON_Q_AVAILHI, 4}, {VIRTIO_PCI_COMMON_Q_USEDLO, 4},
	{VIRTIO_PCI_COMMON_Q_USEDHI, 4},
};

#define COMMON_FIELD_COUNT (sizeof(common_fields) / sizeof(common_fields[0]))

bool virtio_queue_size_valid(const struct virtio_pci *virtio, unsigned queue, uint64_t size)
{
	return size > 0 && size <= virtio->queue_max_sizes[queue] && (size & (size - 1)) == 0;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static uint32_t queue_field_read(const struct virtio_pci *virtio, unsigned offset)
{
	unsigned index = virtio->registers.queue_select;
	const struct virtio_queue_registers *queue;

	/* A queue that is not there has size 0 (virtio 1.2, 4.1.4.3.1). */
	if (index >= virtio->queue_count)
		return offset == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_MSI_NO_VECTOR : 0;
	queue = &virtio->registers.queues[index];
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return queue->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return index;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return (uint32_t)queue->descriptor_area;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return (uint32_t)(queue->descriptor_area >> 32);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return (uint32_t)queue->driver_area;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return (uint32_t)(queue->driver_area >> 32);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return (uint32_t)queue->device_area;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return (uint32_t)(queue->device_area >> 32);
	default:
		return 0;
	}
}

static uint32_t common_field_read(const struct virtio_pci *virtio, unsigned offset)
{
	const struct virtio_registers *registers = &virtio->registers;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return registers->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return feature_word(virtio->features, registers->device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return registers->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return feature_word(registers->driver_features, registers->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return registers->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return virtio->queue_count;
	case VIRTIO_PCI_COMMON_STATUS:
		return registers->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return virtio->config_generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return registers->queue_select;
	default:
		return queue_field_read(virtio, offset);
	}
}

static void driver_feature_write(struct virtio_registers *registers, uint32_t value)
{
	unsigned shift;

	/* What was agreed on stands until reset (virtio 1.2, 3.1.1). */
	if ((registers->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    registers->driver_feature_select > 1)
		return;
	shift = 32 * registers->driver_feature_select;
	registers->driver_features &= ~(0xffffffffULL << shift);
	registers->driver_features |= (uint64_t)value << shift;
}

/* The vector as the driver reads it back: one that is not there is refused (virtio 1.2, 4.1.5.1.2).
 */
static uint16_t accepted_vector(const struct virtio_pci *virtio, uint32_t vector)
{
	return vector < virtio->msix.vector_count ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

static void set_low(uint64_t *address, uint32_t value)
{
	*address = (*address & ~0xffffffffULL) | value;
}

static void set_high(uint64_t *address, uint32_t value)
{
	*address = (*address & 0xffffffffULL) | (uint64_t)value << 32;
}

static void queue_enable_write(struct virtio_registers *registers,
			       struct virtio_queue_registers *queue, uint32_t value)
{
	uint8_t running = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

	/* Only 1 may be written, and only while the queues are being set up. */
	if (value == 1 && (registers->status & running) == VIRTIO_CONFIG_S_FEATURES_OK)
		queue->enabled = true;
}

/* Fields of a queue that is there and not enabled yet. */
static void queue_field_write(struct virtio_pci *virtio, unsigned index, unsigned offset,
			      uint32_t value)
{
	struct virtio_queue_registers *queue = &virtio->registers.queues[index];

	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (virtio_queue_size_valid(virtio, index, value))
			queue->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		queue_enable_write(&virtio->registers, queue, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&queue->descriptor_area, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&queue->descriptor_area, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&queue->driver_area, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&queue->driver_area, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&queue->device_area, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&queue->device_area, value);
		break;
	default:
		break;
	}
}

static void selected_queue_write(struct virtio_pci *virtio, unsigned offset, uint32_t value)
{
	unsigned index = virtio->registers.queue_select;
	struct virtio_queue_registers *queue;

	if (index >= virtio->queue_count)
		return;
	queue = &virtio->registers.queues[index];
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		/* At any time: drivers detach the vector of a queue that runs. */
		queue->vector = accepted_vector(virtio, value);
		msix_bind_source(&virtio->msix, index, queue->vector);
	} else if (!queue->enabled) {
		queue_field_write(virtio, index, offset, value);
	}
}

static void common_field_write(struct virtio_pci *virtio, unsigned offset, uint32_t value)
{
	struct virtio_registers *registers = &virtio->registers;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		registers->device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		registers->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		driver_feature_write(registers, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		registers->config_vector = accepted_vector(virtio, value);
		msix_bind_source(&virtio->msix, virtio->queue_count, registers->config_vector);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_status_write(virtio, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		registers->queue_select = (uint16_t)value;
		break;
	default:
		selected_queue_write(virtio, offset, value);
		break;
	}
}

void virtio_bind_vectors(struct virtio_pci *virtio)
{
	for (unsigned i = 0; i < virtio->queue_count; i++)
		msix_bind_source(&virtio->msix, i, virtio->registers.queues[i].vector);
	msix_bind_source(&virtio->msix, virtio->queue_count, virtio->registers.config_vector);
}

void virtio_common_read(const struct virtio_pci *virtio, unsigned offset, uint8_t *data,
			unsigned length_bytes)
{
	uint8_t image[VIRTIO_COMMON_BYTES] = {0};

	for (size_t i = 0; i < COMMON_FIELD_COUNT; i++) {
		const struct common_field *field = &common_fields[i];

		if (pci_config_touches(offset, length_bytes, field->offset, field->length_bytes))
			little_endian_store(&image[field->offset], field->length_bytes,
					    common_field_read(virtio, field->offset));
	}
	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = offset + i < VIRTIO_COMMON_BYTES ? image[offset + i] : 0;
}

/* An access may cover several fields, or part of one: each is written whole, what the access leaves
 * out as it reads now. */
void virtio_common_write(struct virtio_pci *virtio, unsigned offset, const uint8_t *data,
			 unsigned length_bytes)
{
	for (size_t i = 0; i < COMMON_FIELD_COUNT; i++) {
		const struct common_field *field = &common_fields[i];
		uint8_t bytes[4];

		if (!pci_config_touches(offset, length_bytes, field->offset, field->length_bytes))
			continue;
		/* The driver waits for the reset it asked for. */
		if (virtio->resetting)
			return;
		little_endian_store(bytes, field->length_bytes,
				    common_field_read(virtio, field->offset));
		for (unsigned at = 0; at < field->length_bytes; at++)
			if (field->offset + at >= offset &&
			    field->offset + at < offset + length_bytes)
				bytes[at] = data[field->offset + at - offset];
		common_field_write(virtio, field->offset,
				   (uint32_t)little_endian_load(bytes, field->length_bytes));
	}
}
