/* SPDX-License-Identifier: Apache-2.0 */
/* After everything: a reset must bring each device back to work. */
#include <stddef.h>

#include "guest.h"
#include "hostile.h"
#include "page_alloc.h"
#include "print.h"
#include "string.h"
#include "virtio_blk.h"
#include "virtio_console.h"
#include "virtio_rng.h"

static const char *recovery_try_blk(const struct virtio_device *device)
{
	static struct virtio_blk blk;
	const char *problem;

	blk = (struct virtio_blk){.device = *device};
	problem = blk_start(&blk, 0);
	if (problem == NULL &&
	    blk_request(&blk, 0, BLK_IN, 0, page_alloc(1), BLK_SECTOR_BYTES) != 0)
		problem = "a read fails";
	return problem;
}

static const char *recovery_try_rng(const struct virtio_device *device)
{
	static struct virtio_rng rng;
	const char *problem;

	rng = (struct virtio_rng){.device = *device};
	problem = rng_start(&rng, 0);
	if (problem == NULL && rng_read(&rng, page_alloc(1), 64) <= 0)
		problem = "a read fails";
	return problem;
}

static const char *recovery_try_console(const struct virtio_device *device)
{
	static struct virtio_console console;
	static const char text[] = "hvc: still here\n";
	const char *problem;

	console = (struct virtio_console){.device = *device};
	problem = console_start(&console, 0);
	return problem != NULL ? problem : console_write(&console, text, sizeof(text) - 1);
}

static const char *recovery_try(const struct virtio_device *device)
{
	switch (device->type) {
	case VIRTIO_BLOCK:
		return recovery_try_blk(device);
	case VIRTIO_RNG:
		return recovery_try_rng(device);
	case VIRTIO_CONSOLE:
		return recovery_try_console(device);
	default:
		return NULL;
	}
}

void recovery_check(struct hostile *hostile)
{
	for (uint32_t i = 0; i < hostile->device_count; i++) {
		struct virtio_device *device = &hostile->devices[i];
		const char *problem;

		pci_write16(device->pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		problem = recovery_try(device);
		if (problem == NULL)
			test_ok("device_works_after_reset");
		else
			test_fail("device_works_after_reset", "slot %u type %u: %s",
				  device->pci->slot, device->type, problem);
	}
}
