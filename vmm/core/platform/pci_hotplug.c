/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/pci_hotplug.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define REGISTER_PLUGGED       0
#define REGISTER_UNPLUG_WANTED 4
#define REGISTER_EJECT	       8
#define SLOT_COUNT	       32
#define HOST_BRIDGE	       1U /* slot 0 */

struct pci_hotplug {
	pthread_mutex_t lock; /* guards the two masks */
	uint32_t plugged, unplug_wanted;
	void (*eject)(void *opaque, unsigned slot);
	void *opaque;
};

static uint8_t take_byte(uint32_t *mask, unsigned index)
{
	uint8_t byte = (uint8_t)(*mask >> index * 8);

	*mask &= ~(0xffU << index * 8);
	return byte;
}

static uint8_t read_byte(struct pci_hotplug *hotplug, uint64_t offset)
{
	unsigned index = offset % 4;

	if (offset < REGISTER_UNPLUG_WANTED)
		return take_byte(&hotplug->plugged, index);
	if (offset < REGISTER_EJECT)
		return take_byte(&hotplug->unplug_wanted, index);
	return 0;
}

static void pci_hotplug_on_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	struct pci_hotplug *hotplug = opaque;

	pthread_mutex_lock(&hotplug->lock);
	for (unsigned i = 0; i < length_bytes; i++)
		data[i] = read_byte(hotplug, offset + i);
	pthread_mutex_unlock(&hotplug->lock);
}

static void pci_hotplug_on_write(void *opaque, uint64_t offset, const uint8_t *data,
				 unsigned length_bytes)
{
	struct pci_hotplug *hotplug = opaque;
	uint32_t slots = 0;

	for (unsigned i = 0; i < length_bytes; i++)
		if (offset + i >= REGISTER_EJECT && offset + i < PCI_HOTPLUG_BYTES)
			slots |= (uint32_t)data[i] << (offset + i - REGISTER_EJECT) * 8;
	for (unsigned slot = 1; hotplug->eject && slot < SLOT_COUNT; slot++)
		if (slots >> slot & 1)
			hotplug->eject(hotplug->opaque, slot);
}

const struct bus_device_ops pci_hotplug_ops = {
	.name = "pci hot-plug",
	.read = pci_hotplug_on_read,
	.write = pci_hotplug_on_write,
};

struct pci_hotplug *pci_hotplug_new(void (*eject)(void *opaque, unsigned slot), void *opaque)
{
	struct pci_hotplug *hotplug = calloc(1, sizeof(*hotplug));

	if (!hotplug)
		return NULL;
	pthread_mutex_init(&hotplug->lock, NULL);
	hotplug->eject = eject;
	hotplug->opaque = opaque;
	return hotplug;
}

void pci_hotplug_destroy(struct pci_hotplug *hotplug)
{
	if (!hotplug)
		return;
	pthread_mutex_destroy(&hotplug->lock);
	free(hotplug);
}

void pci_hotplug_set_plugged(struct pci_hotplug *hotplug, unsigned slot)
{
	assert(slot > 0 && slot < SLOT_COUNT);
	pthread_mutex_lock(&hotplug->lock);
	hotplug->plugged |= 1U << slot;
	hotplug->unplug_wanted &= ~(1U << slot); /* meant the device that was there before */
	pthread_mutex_unlock(&hotplug->lock);
}

void pci_hotplug_set_unplug_wanted(struct pci_hotplug *hotplug, unsigned slot)
{
	assert(slot > 0 && slot < SLOT_COUNT);
	pthread_mutex_lock(&hotplug->lock);
	hotplug->unplug_wanted |= 1U << slot;
	pthread_mutex_unlock(&hotplug->lock);
}

void pci_hotplug_reset(struct pci_hotplug *hotplug)
{
	pthread_mutex_lock(&hotplug->lock);
	hotplug->plugged = hotplug->unplug_wanted = 0;
	pthread_mutex_unlock(&hotplug->lock);
}

void pci_hotplug_save(struct pci_hotplug *hotplug, Bulkhead__Platform__PciHotplug *state)
{
	pthread_mutex_lock(&hotplug->lock);
	state->plugged = hotplug->plugged;
	state->unplug_wanted = hotplug->unplug_wanted;
	pthread_mutex_unlock(&hotplug->lock);
}

int pci_hotplug_restore(struct pci_hotplug *hotplug, const Bulkhead__Platform__PciHotplug *state,
			struct error *err)
{
	if ((state->plugged | state->unplug_wanted) & HOST_BRIDGE)
		return error_set(err, -EINVAL, "pci hot-plug: slot 0 cannot be plugged");
	pthread_mutex_lock(&hotplug->lock);
	hotplug->plugged = state->plugged;
	hotplug->unplug_wanted = state->unplug_wanted;
	pthread_mutex_unlock(&hotplug->lock);
	return 0;
}
