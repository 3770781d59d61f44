/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "devworkers/blk/config_space.h"

#define HAS(features, name) (((features) >> VIRTIO_BLK_F_##name) & 1)

static const struct image sample = {
	.size_bytes = UINT64_C(3) << 40,
	.logical_block_bytes = 512,
	.physical_block_bytes = 4096,
	.minimum_io_bytes = 4096,
	.optimal_io_bytes = 1 << 20,
	.discard_granularity_bytes = 4096,
};

static struct virtio_blk_config fill(const struct image *image)
{
	struct virtio_blk_config config;

	memset(&config, 0, sizeof(config));
	config_space_fill((uint8_t *)&config, image, 4, 256);
	return config;
}

static void writable_disk_offers_everything_but_ro(void **state)
{
	uint64_t features = config_space_features(&sample, 4);

	(void)state;
	assert_true(HAS(features, SEG_MAX) && HAS(features, BLK_SIZE) && HAS(features, FLUSH));
	assert_true(HAS(features, TOPOLOGY) && HAS(features, MQ));
	assert_true(HAS(features, DISCARD) && HAS(features, WRITE_ZEROES));
	assert_false(HAS(features, RO));
	assert_false(HAS(features, CONFIG_WCE) || HAS(features, SECURE_ERASE));
	assert_false(HAS(features, GEOMETRY));
}

static void read_only_disk_offers_no_way_to_write(void **state)
{
	struct image image = sample;
	uint64_t features;
	struct virtio_blk_config config;

	(void)state;
	image.read_only = true;
	features = config_space_features(&image, 1);
	config = fill(&image);
	assert_true(HAS(features, RO));
	assert_false(HAS(features, DISCARD) || HAS(features, WRITE_ZEROES) || HAS(features, MQ));
	assert_int_equal(config.max_discard_sectors, 0);
	assert_int_equal(config.write_zeroes_may_unmap, 0);
}

static void fields_are_where_the_specification_has_them(void **state)
{
	struct virtio_blk_config config = fill(&sample);

	(void)state;
	assert_int_equal(le64toh(config.capacity), (UINT64_C(3) << 40) / 512);
	assert_int_equal(le32toh(config.seg_max), 254);
	assert_int_equal(le32toh(config.blk_size), 512);
	assert_int_equal(config.physical_block_exp, 3);
	assert_int_equal(le16toh(config.min_io_size), 8);
	assert_int_equal(le32toh(config.opt_io_size), 2048);
	assert_int_equal(le16toh(config.num_queues), 4);
	assert_int_equal(le32toh(config.max_discard_sectors), REQUEST_MAX_DISCARD_SECTORS);
	assert_int_equal(le32toh(config.max_discard_seg), REQUEST_MAX_RANGES);
	assert_int_equal(le32toh(config.discard_sector_alignment), 8);
	assert_int_equal(le32toh(config.max_write_zeroes_sectors),
			 REQUEST_MAX_WRITE_ZEROES_SECTORS);
	assert_int_equal(le32toh(config.max_write_zeroes_seg), REQUEST_MAX_RANGES);
	assert_int_equal(config.write_zeroes_may_unmap, 1);
	assert_int_equal(config.wce, 0);
	assert_int_equal(config.unused, 0);
	assert_int_equal(config.max_secure_erase_sectors, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writable_disk_offers_everything_but_ro),
		cmocka_unit_test(read_only_disk_offers_no_way_to_write),
		cmocka_unit_test(fields_are_where_the_specification_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
