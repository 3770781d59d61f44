/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of the virtio block device (virtio 1.2, 5.2): one request at a time on a chosen queue. */
#ifndef GUEST_VIRTIO_BLK_H
#define GUEST_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio_pci.h"
#include "virtqueue.h"

#define BLK_SECTOR_BYTES 512u
#define BLK_ID_BYTES	 20u
#define BLK_QUEUE_MAX	 4
/* Longer than any pause of a test: where the TSC is the host's own, it goes on meanwhile. */
#define BLK_TIMEOUT_US 30000000

#define BLK_F_RO	   (1ull << 5)
#define BLK_F_BLK_SIZE	   (1ull << 6)
#define BLK_F_FLUSH	   (1ull << 9)
#define BLK_F_MQ	   (1ull << 12)
#define BLK_F_DISCARD	   (1ull << 13)
#define BLK_F_WRITE_ZEROES (1ull << 14)

enum blk_request_type {
	BLK_IN = 0,
	BLK_OUT = 1,
	BLK_FLUSH = 4,
	BLK_GET_ID = 8,
	BLK_DISCARD = 11,
	BLK_WRITE_ZEROES = 13,
	BLK_UNKNOWN = 0x7777,
};

enum blk_status {
	BLK_OK = 0,
	BLK_IOERR = 1,
	BLK_UNSUPP = 2,
	BLK_NO_ANSWER = -1, /* no completion, or no interrupt, within BLK_TIMEOUT_US */
	BLK_QUEUE_FULL = -2,
};

struct blk_request_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct blk_range {
	uint64_t sector;
	uint32_t sector_count;
	uint32_t flags;
};

/* Header and status byte of one request, in memory the device may reach. */
struct blk_slot {
	struct blk_request_header header;
	volatile uint8_t status;
};

struct virtio_blk {
	struct virtio_device device;
	uint16_t queue_count; /* in use; at most BLK_QUEUE_MAX */
	struct virtqueue queues[BLK_QUEUE_MAX];
	struct blk_slot *slots; /* VIRTQUEUE_SIZE_MAX for each queue, indexed by head */
	uint64_t capacity_sectors;
	uint32_t last_length; /* used length of the last blk_request() */
};

/*
 * Resets and starts the (probed) device with wanted & offered features; may be called again.
 * Returns NULL, or what failed.
 */
const char *blk_start(struct virtio_blk *blk, uint64_t wanted_features);

/*
 * Sends one request and waits for it. data may be NULL (size 0); it is read by the device for OUT,
 * DISCARD and WRITE_ZEROES and written for the other types. Returns a blk_status or, if the device
 * answers none of the known ones, the status byte.
 */
int blk_request(struct virtio_blk *blk, uint16_t queue_index, uint32_t type, uint64_t sector,
		void *data, uint32_t size_bytes);

/*
 * Adds a request without waiting or kicking, the data split into segments of at most
 * segment_bytes. Returns the head, whose slot gets the status, or a negative blk_status.
 */
int blk_submit(struct virtio_blk *blk, uint16_t queue_index, uint32_t type, uint64_t sector,
	       void *data, uint32_t size_bytes, uint32_t segment_bytes);

#endif
