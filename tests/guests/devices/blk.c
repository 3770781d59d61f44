/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the block device. The last SCRATCH_SECTORS of a writable disk are overwritten. */
#include <stddef.h>

#include "blk_checks.h"
#include "devices.h"
#include "guest.h"
#include "masking.h"
#include "page_alloc.h"
#include "print.h"
#include "string.h"

#define FEATURES_PLAIN (BLK_F_RO | BLK_F_FLUSH)
#define FEATURES_ALL                                                                               \
	(BLK_F_RO | BLK_F_FLUSH | BLK_F_MQ | BLK_F_DISCARD | BLK_F_WRITE_ZEROES |                  \
	 VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)

void blk_fill(unsigned char *data, uint32_t size_bytes, uint32_t seed)
{
	uint32_t *words = (uint32_t *)(void *)data;

	for (uint32_t i = 0; i < size_bytes / 4; i++) {
		seed = seed * 1664525u + 1013904223u;
		words[i] = seed;
	}
}

void blk_expect_status(const struct blk_check *check, const char *name, int status, int expected)
{
	if (status == expected) {
		test_ok(devices_name(check->prefix, name));
	} else {
		test_fail(devices_name(check->prefix, name), "status %d, expected %d", status,
			  expected);
	}
}

static void blk_check_reads(struct blk_check *check)
{
	struct virtio_blk *blk = check->blk;

	blk_expect_status(check, "reads_the_first_sector",
			  blk_request(blk, 0, BLK_IN, 0, check->data, BLK_SECTOR_BYTES), BLK_OK);
	test_check(devices_name(check->prefix, "read_reports_its_length"),
		   blk->last_length == BLK_SECTOR_BYTES + 1, "used length is not data plus status");
	blk_expect_status(check, "reads_the_last_sector",
			  blk_request(blk, 0, BLK_IN, blk->capacity_sectors - 1, check->data,
				      BLK_SECTOR_BYTES),
			  BLK_OK);
}

static void blk_check_id(struct blk_check *check)
{
	char id[BLK_ID_BYTES + 1] = {0};
	int status = blk_request(check->blk, 0, BLK_GET_ID, 0, check->data, BLK_ID_BYTES);

	memcpy(id, check->data, BLK_ID_BYTES);
	print("%s id \"%s\"\n", check->prefix, id);
	blk_expect_status(check, "get_id_is_answered", status, BLK_OK);
}

static void blk_check_refusals(struct blk_check *check)
{
	struct virtio_blk *blk = check->blk;
	uint64_t end = blk->capacity_sectors;

	blk_expect_status(check, "unknown_request_is_unsupported",
			  blk_request(blk, 0, BLK_UNKNOWN, 0, check->data, BLK_SECTOR_BYTES),
			  BLK_UNSUPP);
	blk_expect_status(check, "read_past_the_end_fails",
			  blk_request(blk, 0, BLK_IN, end, check->data, BLK_SECTOR_BYTES),
			  BLK_IOERR);
	blk_expect_status(check, "read_across_the_end_fails",
			  blk_request(blk, 0, BLK_IN, end - 1, check->data, 2 * BLK_SECTOR_BYTES),
			  BLK_IOERR);
	blk_expect_status(check, "read_with_an_overflowing_sector_fails",
			  blk_request(blk, 0, BLK_IN, ~0ull, check->data, BLK_SECTOR_BYTES),
			  BLK_IOERR);
	blk_expect_status(check, "read_works_after_refusals",
			  blk_request(blk, 0, BLK_IN, 0, check->data, BLK_SECTOR_BYTES), BLK_OK);
	if (blk->device.features & BLK_F_RO) {
		blk_expect_status(check, "write_to_a_readonly_disk_fails",
				  blk_request(blk, 0, BLK_OUT, 0, check->data, BLK_SECTOR_BYTES),
				  BLK_IOERR);
	} else {
		blk_expect_status(check, "write_past_the_end_fails",
				  blk_request(blk, 0, BLK_OUT, end, check->data, BLK_SECTOR_BYTES),
				  BLK_IOERR);
	}
	if (blk->device.features & BLK_F_FLUSH) {
		blk_expect_status(check, "flush_succeeds",
				  blk_request(blk, 0, BLK_FLUSH, 0, NULL, 0), BLK_OK);
	}
}

static void blk_submit_read(void *argument)
{
	struct blk_check *check = argument;

	blk_submit(check->blk, 0, BLK_IN, 0, check->data, BLK_SECTOR_BYTES, BLK_SECTOR_BYTES);
	virtqueue_kick(&check->blk->queues[0]);
}

static void blk_run(struct blk_check *check, const char *prefix, uint64_t features)
{
	const char *problem = blk_start(check->blk, features);

	check->prefix = prefix;
	if (problem != NULL) {
		test_fail(devices_name(prefix, "starts"), "%s", problem);
		return;
	}
	test_ok(devices_name(prefix, "starts"));
	print("%s capacity %lu sectors, %u queues of %u%s\n", prefix, check->blk->capacity_sectors,
	      check->blk->queue_count, check->blk->queues[0].size,
	      check->blk->device.features & BLK_F_RO ? ", read-only" : "");
	if (!test_check(devices_name(prefix, "has_capacity"), check->blk->capacity_sectors > 0,
			"capacity is 0")) {
		return;
	}
	blk_check_reads(check);
	blk_check_id(check);
	blk_check_refusals(check);
	blk_check_data(check);
	blk_check_queues(check);
	masking_check(&check->blk->queues[0], prefix, blk_submit_read, check);
}

void devices_check_blk(const struct virtio_device *device, uint32_t index)
{
	static struct virtio_blk blk;
	struct blk_check check = {.blk = &blk, .seed = index * 1000 + 1};

	blk = (struct virtio_blk){.device = *device};
	check.data = page_alloc_unzeroed(BLK_CHECK_BYTES / PAGE_SIZE_BYTES);
	check.readback = page_alloc_unzeroed(BLK_CHECK_BYTES / PAGE_SIZE_BYTES);
	devices_check_transport(&blk.device, "blk");
	blk_run(&check, "blk.plain", FEATURES_PLAIN);
	blk_run(&check, "blk.all", FEATURES_ALL);
	test_check("blk.resets_at_the_end", virtio_reset(&blk.device),
		   "device_status did not become 0");
}
