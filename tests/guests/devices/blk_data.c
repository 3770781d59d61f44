/* SPDX-License-Identifier: Apache-2.0 */
/* What is written to the disk must come back. */
#include <stddef.h>

#include "blk_checks.h"
#include "devices.h"
#include "guest.h"
#include "string.h"

static uint64_t blk_scratch_sector(const struct blk_check *check)
{
	return check->blk->capacity_sectors - BLK_SCRATCH_SECTORS;
}

static void blk_expect_content(const struct blk_check *check, const char *name, uint32_t size_bytes)
{
	test_check(devices_name(check->prefix, name),
		   memcmp(check->data, check->readback, size_bytes) == 0, "other bytes came back");
}

static void blk_check_write(struct blk_check *check, const char *write_name, const char *read_name,
			    uint32_t size_bytes)
{
	uint64_t sector = blk_scratch_sector(check);

	blk_fill(check->data, size_bytes, check->seed++);
	memset(check->readback, 0, size_bytes);
	blk_expect_status(check, write_name,
			  blk_request(check->blk, 0, BLK_OUT, sector, check->data, size_bytes),
			  BLK_OK);
	test_check(devices_name(check->prefix, "write_reports_only_the_status_as_written"),
		   check->blk->last_length == 1, "used length is not 1");
	blk_request(check->blk, 0, BLK_IN, sector, check->readback, size_bytes);
	blk_expect_content(check, read_name, size_bytes);
}

/* Segments that are no multiple of a sector, as long as their sum is. */
static void blk_check_scattered(struct blk_check *check)
{
	struct virtio_blk *blk = check->blk;
	uint64_t sector = blk_scratch_sector(check);
	uint32_t size_bytes = 8 * BLK_SECTOR_BYTES;
	uint32_t length = 0;
	int status = BLK_NO_ANSWER;
	int head = blk_submit(blk, 0, BLK_IN, sector, check->readback, size_bytes, 700);

	virtqueue_kick(&blk->queues[0]);
	if (head >= 0 && virtqueue_wait(&blk->queues[0], &length, BLK_TIMEOUT_US) == head) {
		status = blk->slots[head].status;
	}
	blk_expect_status(check, "scattered_read_succeeds", status, BLK_OK);
	blk_expect_content(check, "scattered_read_gives_what_was_written", size_bytes);
}

static void blk_check_range(struct blk_check *check, uint32_t type, const char *name)
{
	struct virtio_blk *blk = check->blk;
	struct blk_range range = {.sector = blk_scratch_sector(check) + 8, .sector_count = 8};
	uint64_t end = blk->capacity_sectors;

	memcpy(check->data, &range, sizeof(range));
	blk_expect_status(check, name, blk_request(blk, 0, type, 0, check->data, sizeof(range)),
			  BLK_OK);
	range.sector = end;
	memcpy(check->data, &range, sizeof(range));
	blk_expect_status(check, "range_past_the_end_fails",
			  blk_request(blk, 0, type, 0, check->data, sizeof(range)), BLK_IOERR);
	/* The byte beside the range must be as before, whatever became of the range itself. */
	blk_fill(check->data, BLK_CHECK_BYTES, check->seed - 1);
	blk_request(blk, 0, BLK_IN, blk_scratch_sector(check), check->readback,
		    24 * BLK_SECTOR_BYTES);
	test_check(devices_name(check->prefix, "neighbours_of_the_range_are_kept"),
		   memcmp(check->data, check->readback, 8 * BLK_SECTOR_BYTES) == 0 &&
			   memcmp(check->data + 16 * BLK_SECTOR_BYTES,
				  check->readback + 16 * BLK_SECTOR_BYTES,
				  8 * BLK_SECTOR_BYTES) == 0,
		   "other bytes came back");
}

static void blk_check_zeroes(struct blk_check *check)
{
	const unsigned char *zeroed = check->readback + 8 * BLK_SECTOR_BYTES;
	bool all_zero = true;

	for (uint32_t i = 0; i < 8 * BLK_SECTOR_BYTES; i++) {
		all_zero = all_zero && zeroed[i] == 0;
	}
	test_check(devices_name(check->prefix, "write_zeroes_leaves_zeroes"), all_zero,
		   "other bytes came back");
}

void blk_check_data(struct blk_check *check)
{
	uint64_t features = check->blk->device.features;

	if ((features & BLK_F_RO) || check->blk->capacity_sectors < BLK_SCRATCH_SECTORS) {
		test_skip(devices_name(check->prefix, "data"), "read-only or too small");
		return;
	}
	blk_check_write(check, "writes_a_sector", "sector_reads_back", BLK_SECTOR_BYTES);
	blk_check_write(check, "writes_64_kib", "64_kib_read_back", BLK_CHECK_BYTES);
	blk_check_scattered(check);
	if (features & BLK_F_DISCARD) {
		blk_check_range(check, BLK_DISCARD, "discard_succeeds");
	}
	if (features & BLK_F_WRITE_ZEROES) {
		blk_check_range(check, BLK_WRITE_ZEROES, "write_zeroes_succeeds");
		blk_check_zeroes(check);
	}
}
