/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "page_alloc.h"
#include "pci.h"
#include "snapshot.h"
#include "string.h"
#include "virtio_blk.h"
#include "virtio_rng.h"

#define DISK_SECTORS	 64
#define WORDS_PER_SECTOR (BLK_SECTOR_BYTES / 8)

static struct pci_bus bus;
static struct virtio_blk blk;
static struct virtio_rng rng;
static bool has_disk;
static bool has_rng;
static uint64_t *out;
static uint64_t *in;

static void disk_fill(uint64_t *sector, uint64_t tick)
{
	for (uint32_t word = 0; word < WORDS_PER_SECTOR; word++)
		sector[word] = (tick << 32 | word) * 0x9E3779B97F4A7C15ull;
}

static uint64_t disk_sector_of(uint64_t tick)
{
	return blk.capacity_sectors - DISK_SECTORS + tick % DISK_SECTORS;
}

/* Returns 1 if the sector that the tick wrote does not come back, else 0. */
static uint32_t disk_check(uint64_t tick)
{
	disk_fill(out, tick);
	memset(in, 0, BLK_SECTOR_BYTES);
	if (blk_request(&blk, 0, BLK_IN, disk_sector_of(tick), in, BLK_SECTOR_BYTES) != BLK_OK)
		return 1;
	return memcmp(in, out, BLK_SECTOR_BYTES) == 0 ? 0 : 1;
}

bool disk_state_init(void)
{
	pci_scan(&bus);
	out = page_alloc(1);
	in = page_alloc(1);
	has_rng = virtio_pci_find(&rng.device, &bus, VIRTIO_RNG, 0) &&
		  rng_start(&rng, VIRTIO_F_EVENT_IDX) == NULL;
	has_disk = virtio_pci_find(&blk.device, &bus, VIRTIO_BLOCK, 0) &&
		   blk_start(&blk, BLK_F_RO | BLK_F_FLUSH | VIRTIO_F_EVENT_IDX |
					   VIRTIO_F_INDIRECT_DESC) == NULL &&
		   !(blk.device.features & BLK_F_RO) && blk.capacity_sectors >= DISK_SECTORS;
	return has_disk;
}

uint32_t disk_state_tick(uint64_t tick)
{
	uint32_t errors = 0;

	if (!has_disk)
		return 0;
	if (tick > 1)
		errors += disk_check(tick - 1);
	disk_fill(out, tick);
	if (blk_request(&blk, 0, BLK_OUT, disk_sector_of(tick), out, BLK_SECTOR_BYTES) != BLK_OK)
		errors++;
	if ((blk.device.features & BLK_F_FLUSH) && tick % 8 == 0 &&
	    blk_request(&blk, 0, BLK_FLUSH, 0, NULL, 0) != BLK_OK)
		errors++;
	return errors;
}

uint32_t disk_state_verify(uint64_t tick)
{
	uint32_t errors = 0;

	if (!has_disk)
		return 0;
	for (uint64_t back = 0; back < DISK_SECTORS && back < tick; back++)
		errors += disk_check(tick - back);
	return errors;
}

bool entropy_read(uint64_t *value)
{
	if (!has_rng || rng_read(&rng, in, sizeof(*value)) != sizeof(*value))
		return false;
	*value = *in;
	return true;
}
