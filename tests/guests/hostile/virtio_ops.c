/* SPDX-License-Identifier: Apache-2.0 */
/* Random access to the virtio structures and the MSI-X tables of a device. */
#include <stddef.h>

#include "hostile.h"
#include "mmio.h"

#define MSIX_MESSAGE_BASE 0xFEE00000u

static struct virtio_device *virtio_pick(struct hostile *hostile)
{
	if (hostile->device_count == 0)
		return NULL;
	return &hostile->devices[random_below(hostile->device_count)];
}

/*
 * Queue addresses: halves or the whole from random_gpa(), or a piece of the lowest 16 bits. Writing
 * other pieces could compose the address of the guest itself.
 */
static void virtio_write_address(const struct virtio_device *device)
{
	uint64_t gpa = device->common_gpa + VIRTIO_COMMON_QUEUE_DESC + 8 * random_below(3);
	uint64_t value = random_gpa();

	switch (random_below(6)) {
	case 0:
		mmio_write8(gpa + random_below(2), (uint8_t)value);
		break;
	case 1:
		mmio_write16(gpa, (uint16_t)value);
		break;
	case 2:
		mmio_write32(gpa, (uint32_t)value);
		break;
	case 3:
		mmio_write32(gpa + 4, (uint32_t)(value >> 32));
		break;
	default:
		mmio_write32(gpa, (uint32_t)value);
		mmio_write32(gpa + 4, (uint32_t)(value >> 32));
	}
}

static void virtio_write_status_register(struct virtio_device *device)
{
	static const uint8_t values[] = {0, 1, 3, 11, 15, 4, 8, 64, 128, 255};

	virtio_write_status(device, random_one_in(8) ? (uint8_t)random_u32()
						     : values[random_below(sizeof(values))]);
}

static void virtio_write_queue_register(const struct virtio_device *device)
{
	static const uint8_t offsets[] = {VIRTIO_COMMON_QUEUE_SELECT, VIRTIO_COMMON_QUEUE_SIZE,
					  VIRTIO_COMMON_QUEUE_VECTOR, VIRTIO_COMMON_QUEUE_ENABLE,
					  VIRTIO_COMMON_CONFIG_VECTOR};
	uint16_t value = (uint16_t)(random_one_in(4) ? random_u32() : random_below(5));

	if (random_one_in(4))
		value = (uint16_t)random_interesting_u32();
	virtio_common_write16(device, offsets[random_below(sizeof(offsets))], value);
}

/* A valid negotiation now and then: without one hardly anything behind DRIVER_OK is reached. */
static void virtio_negotiate(struct virtio_device *device)
{
	uint64_t features =
		(random_u64() & virtio_read_device_features(device)) | VIRTIO_F_VERSION_1;

	virtio_write_status(device, 0);
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
	for (uint32_t half = 0; half < 2; half++) {
		virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE_SELECT, half);
		virtio_common_write32(device, VIRTIO_COMMON_DRIVER_FEATURE,
				      (uint32_t)(features >> (32 * half)));
	}
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
	for (uint16_t queue = 0; queue < 2; queue++) {
		virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SELECT, queue);
		virtio_common_write16(device, VIRTIO_COMMON_QUEUE_SIZE,
				      (uint16_t)(1u << random_below(9)));
		virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DESC, random_gpa());
		virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DRIVER, random_gpa());
		virtio_common_write64(device, VIRTIO_COMMON_QUEUE_DEVICE, random_gpa());
		virtio_common_write16(device, VIRTIO_COMMON_QUEUE_ENABLE, 1);
	}
	virtio_write_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK |
					    VIRTIO_DRIVER_OK);
}

/* Any width at any offset outside the queue addresses. */
static void virtio_access_common(const struct virtio_device *device)
{
	uint32_t offset = random_below(VIRTIO_COMMON_QUEUE_DESC - 8);
	uint64_t value = random_defuse_message(random_u64());

	switch (random_below(8)) {
	case 0:
		mmio_write8(device->common_gpa + offset, (uint8_t)value);
		break;
	case 1:
		mmio_write16(device->common_gpa + offset, (uint16_t)value);
		break;
	case 2:
		mmio_write32(device->common_gpa + offset, (uint32_t)value);
		break;
	case 3:
		mmio_write64(device->common_gpa + offset, value);
		break;
	default:
		mmio_read64(device->common_gpa + random_below(VIRTIO_COMMON_SIZE - 8));
	}
}

static void virtio_access_config(const struct virtio_device *device)
{
	uint32_t size = (uint32_t)device->config_size_bytes;

	if (device->config_gpa == 0 || size < 8)
		return;
	if (random_one_in(2))
		mmio_write32(device->config_gpa + random_below(size - 4),
			     (uint32_t)random_defuse_message(random_u32()));
	else
		mmio_read64(device->config_gpa + random_below(size - 7));
}

static void virtio_notify(const struct virtio_device *device)
{
	uint32_t size = (uint32_t)device->notify_size_bytes;
	uint64_t gpa = device->notify_gpa;

	if (size < 4)
		return;
	if (random_one_in(2))
		gpa += random_below(size - 3);
	else
		gpa += (uint64_t)device->notify_multiplier * random_below(2) % (size - 3);
	if (random_one_in(2))
		mmio_write16(gpa, (uint16_t)random_below(4));
	else
		mmio_write32(gpa, (uint32_t)random_defuse_message(random_interesting_u32()));
}

void virtio_operation(struct hostile *hostile)
{
	struct virtio_device *device = virtio_pick(hostile);

	if (device == NULL)
		return;
	switch (random_below(9)) {
	case 0:
		virtio_write_address(device);
		break;
	case 1:
		virtio_write_status_register(device);
		break;
	case 2:
	case 3:
		virtio_write_queue_register(device);
		break;
	case 4:
		virtio_access_common(device);
		break;
	case 5:
		virtio_access_config(device);
		break;
	case 6:
		virtio_negotiate(device);
		break;
	case 7:
		mmio_read8(device->isr_gpa);
		break;
	default:
		virtio_notify(device);
	}
}

/* Only fixed, lowest-priority, NMI and ExtINT messages: INIT and SMI would end the guest. */
static uint32_t msix_random_data(void)
{
	static const uint32_t modes[] = {0, 0, 1, 3, 4, 7};

	return (random_u32() & 0xFFFFF8FFu) | (modes[random_below(6)] << 8);
}

static void msix_write_entry(const struct msix *msix)
{
	uint64_t gpa = msix_entry_address(msix, (uint16_t)random_below(msix->entry_count));

	switch (random_below(5)) {
	case 0:
		mmio_write32(gpa, random_one_in(2) ? MSIX_MESSAGE_BASE | (random_u32() & 0xFFFFF)
						   : random_u32());
		break;
	case 1:
		mmio_write32(gpa + 4, random_interesting_u32());
		break;
	case 2:
		mmio_write32(gpa + 8, msix_random_data());
		break;
	case 3:
		mmio_write64(gpa + 8, ((uint64_t)random_below(4) << 32) | msix_random_data());
		break;
	default:
		mmio_write32(gpa + 12, random_one_in(4) ? random_u32() : random_below(2));
	}
}

void msix_operation(struct hostile *hostile)
{
	struct virtio_device *device = virtio_pick(hostile);

	if (device == NULL)
		return;
	switch (random_below(5)) {
	case 0:
		mmio_read64(msix_entry_address(&device->msix, 0) +
			    random_below(device->msix.entry_count * 16u - 7));
		break;
	case 1:
		mmio_write32(device->msix.pending_gpa,
			     (uint32_t)random_defuse_message(random_u32()));
		mmio_read64(device->msix.pending_gpa);
		break;
	case 2:
		msix_set_control(&device->msix, !random_one_in(4), random_one_in(4));
		break;
	default:
		msix_write_entry(&device->msix);
	}
}
