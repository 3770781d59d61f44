/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_count.h"

#include <stddef.h>

#include "boot_info.h"
#include "page_alloc.h"
#include "pci.h"
#include "string.h"
#include "virtio_blk.h"

/* 24 MiB: in RAM of any machine these guests run on, and away from firmware and loader. */
#define COUNT_GPA   0x1800000ull
#define COUNT_MAGIC 0x746F6F424B485552ull

struct stored_count {
	uint64_t magic;
	uint64_t boot;
};

static struct virtio_blk blk;
static struct stored_count *sector;

static const char *boot_count_open_disk(void)
{
	static struct pci_bus bus;

	pci_scan(&bus);
	if (!virtio_pci_find(&blk.device, &bus, VIRTIO_BLOCK, 0))
		return "no disk";
	sector = page_alloc(1);
	return blk_start(&blk, 0);
}

static const char *boot_count_move_sector(uint32_t type)
{
	int status = blk_request(&blk, 0, type, blk.capacity_sectors - 1, sector, BLK_SECTOR_BYTES);

	return status == BLK_OK ? NULL : "the disk failed";
}

static void boot_count_increment(struct stored_count *count)
{
	if (count->magic != COUNT_MAGIC)
		*count = (struct stored_count){.magic = COUNT_MAGIC};
	count->boot++;
}

static const char *boot_count_next_on_disk(uint32_t *boot)
{
	const char *problem = boot_count_open_disk();

	if (problem == NULL)
		problem = boot_count_move_sector(BLK_IN);
	if (problem != NULL)
		return problem;
	boot_count_increment(sector);
	*boot = (uint32_t)sector->boot;
	return boot_count_move_sector(BLK_OUT);
}

const char *boot_count_next(bool on_disk, uint32_t *boot)
{
	struct stored_count *count = (struct stored_count *)(uintptr_t)COUNT_GPA;

	if (on_disk)
		return boot_count_next_on_disk(boot);
	if (!boot_info_is_ram(COUNT_GPA, PAGE_SIZE_BYTES))
		return "less than 32 MiB of RAM";
	boot_count_increment(count);
	*boot = (uint32_t)count->boot;
	return NULL;
}

void boot_count_clear(bool on_disk)
{
	if (on_disk) {
		memset(sector, 0, BLK_SECTOR_BYTES);
		boot_count_move_sector(BLK_OUT);
	} else {
		memset((void *)(uintptr_t)COUNT_GPA, 0, sizeof(struct stored_count));
	}
}
