/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/request.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>

#include <linux/virtio_blk.h>

_Static_assert(sizeof(struct virtio_blk_outhdr) == 16, "header layout of virtio 1.2, 5.2.6");
_Static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "range layout, 5.2.6");
_Static_assert(VIRTIO_BLK_ID_BYTES == REQUEST_ID_BYTES, "id length, 5.2.6");

void request_segments_advance(struct iovec **segments, unsigned *count, uint64_t bytes)
{
	while (*count > 0 && bytes >= (*segments)->iov_len) {
		bytes -= (*segments)->iov_len;
		(*segments)++;
		(*count)--;
	}
	if (*count > 0 && bytes > 0) {
		(*segments)->iov_base = (uint8_t *)(*segments)->iov_base + bytes;
		(*segments)->iov_len -= bytes;
	}
}

/* The status is the last writable byte wherever the driver put its buffers' borders (2.7.4.1). */
static uint8_t *take_status(struct virtqueue_chain *chain)
{
	while (chain->writable_count > 0) {
		struct iovec *last = &chain->writable[chain->writable_count - 1];

		if (last->iov_len > 0) {
			last->iov_len--;
			chain->writable_bytes--;
			return (uint8_t *)last->iov_base + last->iov_len;
		}
		chain->writable_count--;
	}
	return NULL;
}

static void use_segments(struct request *request, struct iovec *segments, unsigned count,
			 uint64_t bytes)
{
	request->segments = segments;
	request->segment_count = count;
	request->length_bytes = bytes;
	/* The status byte often had a segment of its own: leave no empty ones to the kernel. */
	while (request->segment_count > 0 && segments[request->segment_count - 1].iov_len == 0)
		request->segment_count--;
}

static bool range_is_inside(uint64_t sector, uint64_t bytes, uint64_t capacity_bytes)
{
	if (bytes > capacity_bytes)
		return false;
	return sector <= (capacity_bytes - bytes) / REQUEST_SECTOR_BYTES;
}

static int check_transfer(struct request *request, uint64_t sector,
			  const struct request_limits *limits)
{
	if (request->length_bytes % REQUEST_SECTOR_BYTES != 0)
		return VIRTIO_BLK_S_IOERR;
	if (!range_is_inside(sector, request->length_bytes, limits->capacity_bytes))
		return VIRTIO_BLK_S_IOERR;
	request->offset_bytes = sector * REQUEST_SECTOR_BYTES;
	return VIRTIO_BLK_S_OK;
}

static int parse_range(struct request_range *range,
		       const struct virtio_blk_discard_write_zeroes *wire, uint32_t max_sectors,
		       const struct request_limits *limits)
{
	uint64_t sector = le64toh(wire->sector);
	uint32_t sectors = le32toh(wire->num_sectors);

	range->length_bytes = (uint64_t)sectors * REQUEST_SECTOR_BYTES;
	if (sectors > max_sectors ||
	    !range_is_inside(sector, range->length_bytes, limits->capacity_bytes))
		return VIRTIO_BLK_S_IOERR;
	range->offset_bytes = sector * REQUEST_SECTOR_BYTES;
	range->unmap = (le32toh(wire->flags) & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) != 0;
	return VIRTIO_BLK_S_OK;
}

/*
 * Unknown flags, and unmap on a discard, are UNSUPP whatever else is wrong (5.2.6.2), hence the
 * look at every range's flags before any other check.
 */
static int parse_ranges(struct request *request, uint32_t known_flags, uint32_t max_sectors,
			const struct request_limits *limits)
{
	struct virtio_blk_discard_write_zeroes wire[REQUEST_MAX_RANGES];
	uint64_t bytes = request->length_bytes;

	if (bytes == 0 || bytes % sizeof(wire[0]) != 0 || bytes > sizeof(wire))
		return VIRTIO_BLK_S_IOERR;
	if (virtqueue_iov_read(request->segments, request->segment_count, 0, wire, bytes) != bytes)
		return VIRTIO_BLK_S_IOERR;

	request->range_count = (unsigned)(bytes / sizeof(wire[0]));
	for (unsigned i = 0; i < request->range_count; i++)
		if (le32toh(wire[i].flags) & ~known_flags)
			return VIRTIO_BLK_S_UNSUPP;
	for (unsigned i = 0; i < request->range_count; i++) {
		int status = parse_range(&request->ranges[i], &wire[i], max_sectors, limits);

		if (status != VIRTIO_BLK_S_OK)
			return status;
	}
	return VIRTIO_BLK_S_OK;
}

static int parse_discard(struct request *request, const struct request_limits *limits)
{
	if (!limits->discard)
		return VIRTIO_BLK_S_UNSUPP;
	request->kind = REQUEST_DISCARD;
	return parse_ranges(request, 0, REQUEST_MAX_DISCARD_SECTORS, limits);
}

static int parse_write_zeroes(struct request *request, const struct request_limits *limits)
{
	if (!limits->write_zeroes)
		return VIRTIO_BLK_S_UNSUPP;
	request->kind = REQUEST_WRITE_ZEROES;
	return parse_ranges(request, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
			    REQUEST_MAX_WRITE_ZEROES_SECTORS, limits);
}

static int parse_by_type(struct request *request, uint32_t type, uint64_t sector,
			 const struct virtqueue_chain *chain, const struct request_limits *limits)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
		request->kind = REQUEST_READ;
		use_segments(request, chain->writable, chain->writable_count,
			     chain->writable_bytes);
		return check_transfer(request, sector, limits);
	case VIRTIO_BLK_T_OUT:
		request->kind = REQUEST_WRITE;
		if (limits->read_only)
			return VIRTIO_BLK_S_IOERR;
		return check_transfer(request, sector, limits);
	case VIRTIO_BLK_T_FLUSH:
		request->kind = REQUEST_FLUSH;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		request->kind = REQUEST_GET_ID;
		use_segments(request, chain->writable, chain->writable_count,
			     chain->writable_bytes);
		return request->length_bytes < REQUEST_ID_BYTES ? VIRTIO_BLK_S_IOERR
								: VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
		return parse_discard(request, limits);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return parse_write_zeroes(request, limits);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

int request_parse(struct request *request, struct virtqueue_chain *chain,
		  const struct request_limits *limits)
{
	struct virtio_blk_outhdr header;
	struct iovec *data = chain->readable;
	unsigned data_count = chain->readable_count;

	request->range_count = 0;
	request->segment_count = 0;
	request->length_bytes = 0;
	request->status = take_status(chain);
	if (!request->status)
		return -EPROTO;
	if (virtqueue_iov_read(data, data_count, 0, &header, sizeof(header)) != sizeof(header))
		return VIRTIO_BLK_S_IOERR;

	request_segments_advance(&data, &data_count, sizeof(header));
	use_segments(request, data, data_count, chain->readable_bytes - sizeof(header));
	return parse_by_type(request, le32toh(header.type), le64toh(header.sector), chain, limits);
}
