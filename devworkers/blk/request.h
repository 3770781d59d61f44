/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtio-blk request: parsing and validation of a popped chain (virtio 1.2, 5.2.6).
 *
 * Pure: no system calls, no device. The header and the ranges of discard and write-zeroes are
 * copied out of guest memory once and only the copies are used; data buffers stay where they are
 * and are handed to the kernel. Any thread.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_REQUEST_H
#define BULKHEAD_DEVWORKERS_BLK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devworkers/common/virtqueue.h"

#define REQUEST_SECTOR_BYTES 512U
#define REQUEST_MAX_RANGES   16U /* of one discard or write-zeroes request */
#define REQUEST_ID_BYTES     20U
/* Longest range of one discard or write-zeroes request: 1 GiB and 64 MiB. */
#define REQUEST_MAX_DISCARD_SECTORS	 (1U << 21)
#define REQUEST_MAX_WRITE_ZEROES_SECTORS (1U << 17)

enum request_kind {
	REQUEST_READ,
	REQUEST_WRITE,
	REQUEST_FLUSH,
	REQUEST_DISCARD,
	REQUEST_WRITE_ZEROES,
	REQUEST_GET_ID,
};

struct request_range {
	uint64_t offset_bytes;
	uint64_t length_bytes;
	bool unmap;
};

/* What requests are checked against. */
struct request_limits {
	uint64_t capacity_bytes;
	bool read_only;
	bool discard;	   /* accepted by the driver */
	bool write_zeroes; /* accepted by the driver */
};

struct request {
	enum request_kind kind;
	uint64_t offset_bytes;	/* read, write */
	uint64_t length_bytes;	/* of the data buffers */
	struct iovec *segments; /* data buffers, in the chain's storage */
	unsigned segment_count;
	uint8_t *status; /* in guest memory; written once, never read */
	unsigned range_count;
	struct request_range ranges[REQUEST_MAX_RANGES];
};

/*
 * Parse a chain. Trims the chain's segments in place (header off the front, status byte off the
 * end).
 *
 * Returns VIRTIO_BLK_S_OK: execute it. VIRTIO_BLK_S_IOERR or VIRTIO_BLK_S_UNSUPP: answer with that
 * status, request->status is set and nothing else is. -EPROTO: the chain has no writable byte, so
 * that there is no place for a status: the device cannot answer and needs reset.
 */
int request_parse(struct request *request, struct virtqueue_chain *chain,
		  const struct request_limits *limits);

/* Drop the first `bytes` of *segments: entries are skipped and the first left one is shortened. */
void request_segments_advance(struct iovec **segments, unsigned *count, uint64_t bytes);

#endif
