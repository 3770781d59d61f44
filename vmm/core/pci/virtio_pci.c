/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/pci/virtio_pci.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "ipc/cleanup.h"
#include "vmm/core/pci/virtio_transport.h"

#define VIRTIO_PCI_VENDOR	0x1af4
#define VIRTIO_PCI_DEVICE_BASE	0x1040 /* virtio 1.2, 4.1.2.1 */
#define VIRTIO_PCI_REVISION	1
#define VIRTIO_QUEUE_SIZE_LIMIT 32768
#define VIRTIO_DEVICE_ID_LIMIT	0x3f

static const struct pci_device_ops virtio_device_ops = {
	.config_reading = virtio_config_reading,
	.config_written = virtio_config_written,
	.bar_mapped = virtio_notify_mapped,
	.bar_unmapping = virtio_notify_unmapping,
};

/* The options come from a worker, which is not trusted. */
static int virtio_options_check(const struct virtio_pci_options *options, struct error *err)
{
	if (options->virtio_device_id == 0 || options->virtio_device_id > VIRTIO_DEVICE_ID_LIMIT)
		return error_set(err, -EINVAL, "virtio device id %u", options->virtio_device_id);
	if (options->queue_count == 0 || options->queue_count > VIRTIO_PCI_MAX_QUEUES)
		return error_set(err, -EINVAL, "%u queues, 1 to %d are possible",
				 options->queue_count, VIRTIO_PCI_MAX_QUEUES);
	for (unsigned i = 0; i < options->queue_count; i++) {
		uint16_t size = options->queue_max_sizes[i];

		if (size == 0 || size > VIRTIO_QUEUE_SIZE_LIMIT || (size & (size - 1)) != 0)
			return error_set(err, -EINVAL, "queue %u: size %u is not a power of two", i,
					 size);
	}
	if (options->config_space_bytes > VIRTIO_PCI_MAX_CONFIG_SPACE)
		return error_set(err, -EINVAL, "%zu bytes of configuration, %d are possible",
				 options->config_space_bytes, VIRTIO_PCI_MAX_CONFIG_SPACE);
	if (!(options->features & 1ULL << VIRTIO_F_VERSION_1))
		return error_set(err, -EINVAL, "VIRTIO_F_VERSION_1 is not offered");
	if (options->features & VIRTIO_UNSUPPORTED_FEATURES)
		return error_set(err, -EINVAL, "features 0x%llx are not the device's to offer",
				 (unsigned long long)options->features &
					 VIRTIO_UNSUPPORTED_FEATURES);
	return 0;
}

static void virtio_options_copy(struct virtio_pci *virtio, const struct virtio_pci_options *options)
{
	(void)snprintf(virtio->id, sizeof(virtio->id), "%s", options->id);
	virtio->virtio_device_id = options->virtio_device_id;
	virtio->features = options->features;
	virtio->config_space_bytes = (unsigned)options->config_space_bytes;
	if (options->config_space_bytes > 0)
		memcpy(virtio->config_space, options->config_space, options->config_space_bytes);
	virtio->queue_count = options->queue_count;
	for (unsigned i = 0; i < options->queue_count; i++)
		virtio->queue_max_sizes[i] = options->queue_max_sizes[i];
}

static int virtio_kicks_open(struct virtio_pci *virtio, struct error *err)
{
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		virtio->kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (virtio->kick_fds[i] < 0)
			return error_set_errno(err, -errno, "kick eventfd");
	}
	return 0;
}

static struct virtio_pci *virtio_pci_allocate(const struct virtio_pci_options *options)
{
	const struct pci_identity identity = {
		.vendor_id = VIRTIO_PCI_VENDOR,
		.device_id = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + options->virtio_device_id),
		.subsystem_vendor_id = VIRTIO_PCI_VENDOR,
		.subsystem_id = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + options->virtio_device_id),
		.class_code = options->class_code,
		.revision = VIRTIO_PCI_REVISION,
	};
	struct virtio_pci *virtio = calloc(1, sizeof(*virtio));

	if (!virtio)
		return NULL;
	pci_device_init(&virtio->device, &virtio_device_ops, &identity);
	for (unsigned i = 0; i < VIRTIO_PCI_MAX_QUEUES; i++)
		virtio->kick_fds[i] = -1;
	return virtio;
}

static int virtio_pci_build(struct virtio_pci *virtio, const struct virtio_pci_options *options,
			    struct pci_bus *bus, int device, struct error *err)
{
	int result;

	virtio_options_copy(virtio, options);
	result = virtio_kicks_open(virtio, err);
	if (result < 0)
		return result;
	result = msix_init(&virtio->msix, virtio->vm, virtio->queue_count + 1, err);
	if (result < 0)
		return result;
	result = virtio_capabilities_add(virtio, err);
	if (result < 0)
		return result;
	pci_device_add_bar(&virtio->device, 0, VIRTIO_BAR_SIZE, &virtio_bar_ops, virtio);
	virtio_registers_reset(virtio, &virtio->registers);
	return pci_bus_plug(bus, &virtio->device, device, err);
}

struct virtio_pci *virtio_pci_new(const struct virtio_pci_options *options, struct kvm_vm *vm,
				  struct pci_bus *bus, int device,
				  const struct virtio_backend_ops *ops, void *opaque,
				  struct error *err)
{
	struct virtio_pci *virtio = NULL;

	if (virtio_options_check(options, err) < 0)
		goto fail;
	virtio = virtio_pci_allocate(options);
	if (!virtio) {
		error_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	virtio->vm = vm;
	virtio->ops = ops;
	virtio->opaque = opaque;
	if (virtio_pci_build(virtio, options, bus, device, err) < 0)
		goto fail;
	return virtio;
fail:
	error_prefix(err, "virtio device \"%s\"", options->id);
	virtio_pci_destroy(virtio);
	return NULL;
}

void virtio_pci_destroy(struct virtio_pci *virtio)
{
	if (!virtio)
		return;
	pci_bus_unplug(&virtio->device);
	msix_destroy(&virtio->msix);
	for (unsigned i = 0; i < VIRTIO_PCI_MAX_QUEUES; i++)
		fd_close(&virtio->kick_fds[i]);
	pci_device_destroy(&virtio->device);
	free(virtio);
}

unsigned virtio_pci_slot(const struct virtio_pci *virtio)
{
	return virtio->device.slot;
}

void virtio_pci_reset_done(struct virtio_pci *virtio)
{
	pthread_mutex_lock(&virtio->device.mutex);
	if (virtio->resetting)
		virtio_transport_reset(virtio);
	pthread_mutex_unlock(&virtio->device.mutex);
}

void virtio_pci_set_config_space(struct virtio_pci *virtio, const uint8_t *bytes,
				 size_t length_bytes)
{
	/* The driver knows the size it found at first. */
	if (length_bytes > virtio->config_space_bytes)
		length_bytes = virtio->config_space_bytes;
	if (length_bytes == 0)
		return;
	pthread_mutex_lock(&virtio->device.mutex);
	memcpy(virtio->config_space, bytes, length_bytes);
	virtio->config_generation++;
	virtio_config_interrupt(virtio);
	pthread_mutex_unlock(&virtio->device.mutex);
}

void virtio_pci_set_needs_reset(struct virtio_pci *virtio)
{
	pthread_mutex_lock(&virtio->device.mutex);
	if (!(virtio->registers.status & VIRTIO_CONFIG_S_NEEDS_RESET) && !virtio->resetting) {
		virtio->registers.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		virtio_config_interrupt(virtio);
	}
	pthread_mutex_unlock(&virtio->device.mutex);
}

void virtio_pci_power_on_reset(struct virtio_pci *virtio)
{
	pthread_mutex_lock(&virtio->device.mutex);
	pci_config_reset(&virtio->device.config);
	msix_reset(&virtio->msix);
	virtio_transport_reset(virtio);
	pthread_mutex_unlock(&virtio->device.mutex);
	pci_bus_place_bars(virtio->device.bus);
}

bool virtio_pci_get_activation(struct virtio_pci *virtio, struct virtio_activation *activation)
{
	bool active;

	pthread_mutex_lock(&virtio->device.mutex);
	active = (virtio->registers.status & VIRTIO_CONFIG_S_DRIVER_OK) && !virtio->resetting;
	if (active)
		virtio_activation_fill(virtio, activation);
	pthread_mutex_unlock(&virtio->device.mutex);
	return active;
}

void virtio_pci_kick_all(struct virtio_pci *virtio)
{
	pthread_mutex_lock(&virtio->device.mutex);
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		if (!virtio->registers.queues[i].enabled)
			continue;
		virtio_notify_signal(virtio, i);
		msix_source_signal(&virtio->msix, i);
	}
	pthread_mutex_unlock(&virtio->device.mutex);
}
