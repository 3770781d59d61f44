/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/pci/pci_bus.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/pci_device.h"
#include "vmm/core/platform/memory_map.h"

#define PCI_SLOT_COUNT 32

/* The host bridge: what guests look for to tell that PCI is there. */
#define PCI_HOST_BRIDGE_VENDOR 0x1b36
#define PCI_HOST_BRIDGE_DEVICE 0x0008
#define PCI_HOST_BRIDGE_CLASS  0x060000

/* The config address register (PCI 3.0, 3.2.2.3.2). */
#define PCI_ADDRESS_ENABLE   0x80000000U
#define PCI_ADDRESS_WRITABLE 0x80fffffcU

struct pci_bus {
	struct bus *pio;
	struct bus *mmio;
	struct pci_device host_bridge;
	/* Lock order: pci_device.h. slots is changed under both, read under either. */
	pthread_mutex_t placement_lock;
	pthread_mutex_t slots_lock;
	struct pci_device *slots[PCI_SLOT_COUNT];
	uint32_t address;				/* under slots_lock */
	bool has_address_port, has_data_port, has_ecam; /* registered */
};

/* A config access to one function, by its number on the bus (slot in bits 7:3). */
static void pci_bus_config_read(struct pci_bus *bus, unsigned function, unsigned offset,
				uint8_t *data, unsigned length_bytes)
{
	struct pci_device *device = function & 7 ? NULL : bus->slots[function >> 3];

	memset(data, 0xff, length_bytes);
	if (device)
		pci_device_config_read(device, offset, data, length_bytes);
}

static void pci_bus_config_write(struct pci_bus *bus, unsigned function, unsigned offset,
				 const uint8_t *data, unsigned length_bytes)
{
	struct pci_device *device = function & 7 ? NULL : bus->slots[function >> 3];

	if (device)
		pci_device_config_write(device, offset, data, length_bytes);
}

/* The address register takes whole double words only; smaller accesses are not its own. */
static void pci_bus_address_read(void *opaque, uint64_t offset, uint8_t *data,
				 unsigned length_bytes)
{
	struct pci_bus *bus = opaque;

	memset(data, 0xff, length_bytes);
	if (offset == 0 && length_bytes == 4)
		little_endian_store(data, 4, pci_bus_get_address(bus));
}

static void pci_bus_address_write(void *opaque, uint64_t offset, const uint8_t *data,
				  unsigned length_bytes)
{
	struct pci_bus *bus = opaque;

	if (offset == 0 && length_bytes == 4)
		pci_bus_set_address(bus, (uint32_t)little_endian_load(data, 4));
}

static const struct bus_device_ops address_port_ops = {
	.name = "pci-address",
	.read = pci_bus_address_read,
	.write = pci_bus_address_write,
};

/* Whether the data port leads anywhere: enabled, and bus 0. */
static bool pci_bus_address_selects(uint32_t address)
{
	return (address & PCI_ADDRESS_ENABLE) && (address >> 16 & 0xff) == 0;
}

static void pci_bus_data_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct pci_bus *bus = opaque;
	uint32_t address;

	memset(data, 0xff, length_bytes);
	pthread_mutex_lock(&bus->slots_lock);
	address = bus->address;
	if (pci_bus_address_selects(address))
		pci_bus_config_read(bus, address >> 8 & 0xff, (address & 0xfc) + (unsigned)offset,
				    data, length_bytes);
	pthread_mutex_unlock(&bus->slots_lock);
}

static void pci_bus_data_write(void *opaque, uint64_t offset, const uint8_t *data,
			       unsigned length_bytes)
{
	struct pci_bus *bus = opaque;
	uint32_t address;

	pthread_mutex_lock(&bus->slots_lock);
	address = bus->address;
	if (pci_bus_address_selects(address))
		pci_bus_config_write(bus, address >> 8 & 0xff, (address & 0xfc) + (unsigned)offset,
				     data, length_bytes);
	pthread_mutex_unlock(&bus->slots_lock);
}

static const struct bus_device_ops data_port_ops = {
	.name = "pci-data",
	.read = pci_bus_data_read,
	.write = pci_bus_data_write,
};

static void pci_bus_ecam_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct pci_bus *bus = opaque;

	pthread_mutex_lock(&bus->slots_lock);
	pci_bus_config_read(bus, offset >> 12 & 0xff, offset & 0xfff, data, length_bytes);
	pthread_mutex_unlock(&bus->slots_lock);
}

static void pci_bus_ecam_write(void *opaque, uint64_t offset, const uint8_t *data,
			       unsigned length_bytes)
{
	struct pci_bus *bus = opaque;

	pthread_mutex_lock(&bus->slots_lock);
	pci_bus_config_write(bus, offset >> 12 & 0xff, offset & 0xfff, data, length_bytes);
	pthread_mutex_unlock(&bus->slots_lock);
}

static const struct bus_device_ops ecam_ops = {
	.name = "pci-ecam",
	.read = pci_bus_ecam_read,
	.write = pci_bus_ecam_write,
};

static int pci_bus_register_ranges(struct pci_bus *bus, struct error *err)
{
	int result = bus_add_background(bus->pio, PORT_PCI_ADDRESS, 4, &address_port_ops, bus, err);

	if (result < 0)
		return result;
	bus->has_address_port = true;
	result = bus_add(bus->pio, PORT_PCI_DATA, 4, &data_port_ops, bus, err);
	if (result < 0)
		return result;
	bus->has_data_port = true;
	result = bus_add(bus->mmio, MAP_ECAM_START, MAP_ECAM_SIZE, &ecam_ops, bus, err);
	bus->has_ecam = result == 0;
	return result;
}

struct pci_bus *pci_bus_new(struct bus *pio, struct bus *mmio, struct error *err)
{
	static const struct pci_identity bridge = {
		.vendor_id = PCI_HOST_BRIDGE_VENDOR,
		.device_id = PCI_HOST_BRIDGE_DEVICE,
		.class_code = PCI_HOST_BRIDGE_CLASS,
	};
	struct pci_bus *bus = calloc(1, sizeof(*bus));

	if (!bus) {
		error_set(err, -ENOMEM, "PCI bus: out of memory");
		return NULL;
	}
	bus->pio = pio;
	bus->mmio = mmio;
	pthread_mutex_init(&bus->placement_lock, NULL);
	pthread_mutex_init(&bus->slots_lock, NULL);
	pci_device_init(&bus->host_bridge, NULL, &bridge);
	bus->host_bridge.bus = bus;
	bus->slots[0] = &bus->host_bridge;
	if (pci_bus_register_ranges(bus, err) < 0) {
		pci_bus_destroy(bus);
		return NULL;
	}
	return bus;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus)
		return;
	if (bus->has_address_port)
		(void)bus_remove(bus->pio, PORT_PCI_ADDRESS);
	if (bus->has_data_port)
		(void)bus_remove(bus->pio, PORT_PCI_DATA);
	if (bus->has_ecam)
		(void)bus_remove(bus->mmio, MAP_ECAM_START);
	pci_device_destroy(&bus->host_bridge);
	pthread_mutex_destroy(&bus->slots_lock);
	pthread_mutex_destroy(&bus->placement_lock);
	free(bus);
}

struct bus *pci_bus_mmio(struct pci_bus *bus)
{
	return bus->mmio;
}

uint32_t pci_bus_get_address(struct pci_bus *bus)
{
	uint32_t address;

	pthread_mutex_lock(&bus->slots_lock);
	address = bus->address;
	pthread_mutex_unlock(&bus->slots_lock);
	return address;
}

void pci_bus_set_address(struct pci_bus *bus, uint32_t address)
{
	pthread_mutex_lock(&bus->slots_lock);
	bus->address = address & PCI_ADDRESS_WRITABLE;
	pthread_mutex_unlock(&bus->slots_lock);
}

void pci_bus_place_bars(struct pci_bus *bus)
{
	pthread_mutex_lock(&bus->placement_lock);
	/* First all that leave, then all that come: BARs may change places. */
	for (unsigned i = 0; i < PCI_SLOT_COUNT; i++)
		if (bus->slots[i])
			pci_device_unmap_bars(bus->slots[i], bus->mmio, false);
	for (unsigned i = 0; i < PCI_SLOT_COUNT; i++)
		if (bus->slots[i])
			pci_device_map_bars(bus->slots[i], bus->mmio);
	pthread_mutex_unlock(&bus->placement_lock);
}

/* Whether another BAR is at, or comes back after power-on to, the range. */
static bool pci_device_uses(struct pci_device *device, unsigned bar_count, uint64_t gpa,
			    uint64_t size_bytes)
{
	bool uses = false;

	pthread_mutex_lock(&device->mutex);
	for (unsigned i = 0; i < bar_count; i++) {
		uint64_t length = device->bars[i].size_bytes;
		uint64_t now = pci_config_bar_address(&device->config, i);
		uint64_t initial = pci_config_initial_bar_address(&device->config, i);

		if (length > 0 && ((gpa < now + length && now < gpa + size_bytes) ||
				   (gpa < initial + length && initial < gpa + size_bytes)))
			uses = true;
	}
	pthread_mutex_unlock(&device->mutex);
	return uses;
}

static bool pci_bus_range_is_free(struct pci_bus *bus, uint64_t gpa, uint64_t size_bytes)
{
	for (unsigned i = 0; i < PCI_SLOT_COUNT; i++)
		if (bus->slots[i] && pci_device_uses(bus->slots[i], PCI_BAR_COUNT, gpa, size_bytes))
			return false;
	return true;
}

/* Give each BAR the first free place of the PCI window. */
static int pci_bus_assign_bars(struct pci_bus *bus, struct pci_device *device)
{
	for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
		uint64_t size_bytes = device->bars[i].size_bytes;
		uint64_t gpa = MAP_PCI_MMIO_START;

		if (size_bytes == 0)
			continue;
		while (gpa + size_bytes <= MAP_PCI_MMIO_END &&
		       (!pci_bus_range_is_free(bus, gpa, size_bytes) ||
			pci_device_uses(device, i, gpa, size_bytes)))
			gpa += size_bytes;
		if (gpa + size_bytes > MAP_PCI_MMIO_END)
			return -ENOSPC;
		pci_config_set_bar_address(&device->config, i, (uint32_t)gpa);
		pci_config_set_initial(&device->config);
	}
	return 0;
}

/* The slot to plug into, or a negative errno. */
static int pci_bus_choose_slot(const struct pci_bus *bus, int slot)
{
	if (slot >= PCI_SLOT_COUNT || slot < -1)
		return -EINVAL;
	if (slot >= 0)
		return bus->slots[slot] ? -EEXIST : slot;
	for (int i = 0; i < PCI_SLOT_COUNT; i++)
		if (!bus->slots[i])
			return i;
	return -ENOSPC;
}

int pci_bus_plug(struct pci_bus *bus, struct pci_device *device, int slot, struct error *err)
{
	int chosen, result;

	pthread_mutex_lock(&bus->placement_lock);
	chosen = pci_bus_choose_slot(bus, slot);
	result = chosen < 0 ? chosen : pci_bus_assign_bars(bus, device);
	if (result == 0) {
		device->bus = bus;
		device->slot = (unsigned)chosen;
		pthread_mutex_lock(&bus->slots_lock);
		bus->slots[chosen] = device;
		pthread_mutex_unlock(&bus->slots_lock);
	}
	pthread_mutex_unlock(&bus->placement_lock);
	if (result < 0)
		return error_set_errno(err, result, "PCI slot %d", slot);
	return 0;
}

void pci_bus_unplug(struct pci_device *device)
{
	struct pci_bus *bus = device->bus;

	if (!bus)
		return;
	pthread_mutex_lock(&bus->placement_lock);
	pci_device_unmap_bars(device, bus->mmio, true);
	pthread_mutex_lock(&bus->slots_lock);
	bus->slots[device->slot] = NULL;
	pthread_mutex_unlock(&bus->slots_lock);
	/* What it covered may be wanted by another. */
	for (unsigned i = 0; i < PCI_SLOT_COUNT; i++)
		if (bus->slots[i])
			pci_device_map_bars(bus->slots[i], bus->mmio);
	pthread_mutex_unlock(&bus->placement_lock);
	device->bus = NULL;
}
