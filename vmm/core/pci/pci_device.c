/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/pci/pci_device.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "vmm/core/pci/pci_bus.h"
#include "vmm/core/platform/memory_map.h"

void pci_device_init(struct pci_device *device, const struct pci_device_ops *ops,
		     const struct pci_identity *identity)
{
	static const struct pci_device_ops no_ops;

	memset(device, 0, sizeof(*device));
	device->ops = ops ? ops : &no_ops;
	pthread_mutex_init(&device->mutex, NULL);
	pci_config_init(&device->config, identity);
}

void pci_device_destroy(struct pci_device *device)
{
	pthread_mutex_destroy(&device->mutex);
}

void pci_device_add_bar(struct pci_device *device, unsigned index, uint32_t size_bytes,
			const struct bus_device_ops *ops, void *opaque)
{
	device->bars[index].size_bytes = size_bytes;
	device->bars[index].ops = ops;
	device->bars[index].opaque = opaque;
	pci_config_add_bar(&device->config, index, size_bytes);
}

void pci_device_config_read(struct pci_device *device, unsigned offset, uint8_t *data,
			    unsigned length_bytes)
{
	pthread_mutex_lock(&device->mutex);
	if (device->ops->config_reading)
		device->ops->config_reading(device, offset, length_bytes);
	pci_config_read(&device->config, offset, data, length_bytes);
	pthread_mutex_unlock(&device->mutex);
}

static void pci_device_place_bars(void *opaque)
{
	pci_bus_place_bars(opaque);
}

void pci_device_config_write(struct pci_device *device, unsigned offset, const uint8_t *data,
			     unsigned length_bytes)
{
	pthread_mutex_lock(&device->mutex);
	pci_config_write(&device->config, offset, data, length_bytes);
	if (device->ops->config_written)
		device->ops->config_written(device, offset, length_bytes);
	pthread_mutex_unlock(&device->mutex);
	/* The bus, not the device: the device may be gone by the time the work runs. */
	if (pci_config_touches(offset, length_bytes, PCI_COMMAND, 1) ||
	    pci_config_touches(offset, length_bytes, PCI_BASE_ADDRESS_0, 4 * PCI_BAR_COUNT))
		bus_defer(pci_device_place_bars, device->bus);
}

/* Where the registers put a BAR; false when it decodes nowhere. */
static bool pci_device_bar_wanted(struct pci_device *device, unsigned index, uint64_t *gpa)
{
	uint64_t size_bytes = device->bars[index].size_bytes;
	bool enabled;

	pthread_mutex_lock(&device->mutex);
	enabled = pci_config_memory_enabled(&device->config);
	*gpa = pci_config_bar_address(&device->config, index);
	pthread_mutex_unlock(&device->mutex);
	/* Anywhere else there is RAM, an interrupt controller or ECAM. */
	return enabled && size_bytes > 0 && *gpa >= MAP_PCI_MMIO_START &&
	       *gpa + size_bytes <= MAP_PCI_MMIO_END;
}

void pci_device_unmap_bars(struct pci_device *device, struct bus *mmio, bool all)
{
	for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
		struct pci_bar *bar = &device->bars[i];
		uint64_t gpa;

		if (!bar->mapped)
			continue;
		if (!all && pci_device_bar_wanted(device, i, &gpa) && gpa == bar->gpa)
			continue;
		if (device->ops->bar_unmapping)
			device->ops->bar_unmapping(device, i);
		(void)bus_remove(mmio, bar->gpa);
		bar->mapped = false;
	}
}

void pci_device_map_bars(struct pci_device *device, struct bus *mmio)
{
	for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
		struct pci_bar *bar = &device->bars[i];
		uint64_t gpa;

		if (bar->mapped || !pci_device_bar_wanted(device, i, &gpa))
			continue;
		/* Over another BAR: refused, and tried again when anything moves. */
		if (bus_add(mmio, gpa, bar->size_bytes, bar->ops, bar->opaque, NULL) < 0)
			continue;
		bar->mapped = true;
		bar->gpa = gpa;
		if (device->ops->bar_mapped)
			device->ops->bar_mapped(device, i, gpa);
	}
}
