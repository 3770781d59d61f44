/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/config_space.h"

#include <endian.h>
#include <string.h>

#include <linux/virtio_blk.h>

#define FEATURE(name) (UINT64_C(1) << VIRTIO_BLK_F_##name)

_Static_assert(offsetof(struct virtio_blk_config, unused1) + 3 == CONFIG_SPACE_BYTES,
	       "layout of virtio 1.2, 5.2.4");

uint64_t config_space_features(const struct image *image, unsigned queue_count)
{
	uint64_t features =
		FEATURE(SEG_MAX) | FEATURE(BLK_SIZE) | FEATURE(FLUSH) | FEATURE(TOPOLOGY);

	if (queue_count > 1)
		features |= FEATURE(MQ);
	if (image->read_only)
		features |= FEATURE(RO);
	else
		features |= FEATURE(DISCARD) | FEATURE(WRITE_ZEROES);
	return features;
}

static uint8_t blocks_log2(uint32_t bytes, uint32_t block_bytes)
{
	uint8_t exponent = 0;

	while (exponent < 16 && (block_bytes << exponent) < bytes)
		exponent++;
	return exponent;
}

static void fill_topology(struct virtio_blk_config *config, const struct image *image)
{
	uint32_t block = image->logical_block_bytes;
	uint32_t minimum = image->minimum_io_bytes / block;

	config->physical_block_exp = blocks_log2(image->physical_block_bytes, block);
	config->alignment_offset = (uint8_t)(image->alignment_offset_bytes / block);
	config->min_io_size = htole16(minimum > UINT16_MAX ? 0 : (uint16_t)minimum);
	config->opt_io_size = htole32(image->optimal_io_bytes / block);
}

static void fill_discard(struct virtio_blk_config *config, const struct image *image)
{
	config->max_discard_sectors = htole32(REQUEST_MAX_DISCARD_SECTORS);
	config->max_discard_seg = htole32(REQUEST_MAX_RANGES);
	config->discard_sector_alignment =
		htole32(image->discard_granularity_bytes / REQUEST_SECTOR_BYTES);
	config->max_write_zeroes_sectors = htole32(REQUEST_MAX_WRITE_ZEROES_SECTORS);
	config->max_write_zeroes_seg = htole32(REQUEST_MAX_RANGES);
	config->write_zeroes_may_unmap = 1;
}

void config_space_fill(uint8_t *space, const struct image *image, unsigned queue_count,
		       uint16_t queue_size)
{
	struct virtio_blk_config config;

	memset(&config, 0, sizeof(config));
	config.capacity = htole64(image->size_bytes / REQUEST_SECTOR_BYTES);
	/* A chain holds the header and the status byte besides. */
	config.seg_max = htole32((uint32_t)queue_size - 2);
	config.blk_size = htole32(image->logical_block_bytes);
	config.num_queues = htole16((uint16_t)queue_count);
	fill_topology(&config, image);
	if (!image->read_only)
		fill_discard(&config, image);
	memcpy(space, &config, CONFIG_SPACE_BYTES);
}
