/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk's own struct, and the slots in which requests live from pop to push. Everything here
 * belongs to the worker's thread; the engines own an engine_io while it is in flight.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_DEVICE_H
#define BULKHEAD_DEVWORKERS_BLK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/blk/bounce.h"
#include "devworkers/blk/engine.h"
#include "devworkers/blk/image.h"
#include "devworkers/blk/inline_io.h"
#include "devworkers/blk/request.h"
#include "devworkers/blk/stats.h"
#include "devworkers/common/virtqueue.h"
#include "devworkers/common/worker.h"

/* One I/O more may be in flight: the sync of a drain, when no slot is in use. */
#define BLK_SLOT_COUNT	   ENGINE_MAX_IN_FLIGHT
#define BLK_MIN_QUEUE_SIZE 4U
#define BLK_ZEROES_BYTES   (64U * 1024)
#define BLK_BOUNCE_BYTES   (256U * 1024)
/* The copy takes so long that it is worth a system call, and a notification, of its own. */
#define BLK_LARGE_BYTES	    (64U * 1024)
#define BLK_MAX_IO_ATTEMPTS 16U

/* What the I/O of a slot is doing; its end leads to the next step (execute.c). */
enum slot_stage {
	SLOT_TRANSFER,	   /* data between the image and the guest's buffers */
	SLOT_FLUSH,	   /* fdatasync that the guest asked for */
	SLOT_DEALLOCATE,   /* one range of a discard or write-zeroes */
	SLOT_WRITE_ZEROES, /* one range, where the file system cannot zero it */
	SLOT_COMMIT,	   /* fdatasync that the absence of flushes asks for */
	SLOT_BOUNCE,	   /* alone on the device, through the bounce buffer */
};

struct slot {
	struct engine_io io; /* first: engines hand it back */
	struct slot *next;   /* free, or waiting to be alone */
	struct virtqueue *queue;
	uint64_t generation; /* of the device when it was popped */
	struct virtqueue_chain chain;
	struct request request;
	enum slot_stage stage;
	unsigned attempts; /* interrupted tries of the present I/O */
	unsigned range_index;
	uint64_t done_bytes;	/* of the request, or of the present range */
	uint32_t written_bytes; /* into the guest's buffers, without the status */
	uint64_t sync_point;	/* device->writes_done when its sync began */
	uint64_t started_ns;
	struct iovec own_segment; /* zeroes and bounces */
};

struct blk_device {
	struct worker *worker;
	struct image image;
	char id[REQUEST_ID_BYTES];
	unsigned queue_count;
	uint16_t queue_size;

	struct engine *uring, *threads; /* made in prepare; all but `engine` is ended later */
	struct engine *engine;		/* one of them */
	struct loop_watch *engine_watch;
	struct inline_io inline_io;
	bool batch_is_small; /* a system call a request is cheaper than the engine */

	struct request_limits limits;
	bool write_through; /* the driver cannot flush: each write is stable when it ends */

	struct slot *slots, *free_slots;
	struct iovec *segments; /* of all slots */
	unsigned slots_made, slots_in_use;
	uint64_t generation; /* counts resets: older slots answer nobody */
	/* Requests that must have the device to themselves: first come, first served. */
	struct slot *alone_first, *alone_last;
	unsigned alone_count;	    /* waiting */
	struct slot *alone_running; /* owns the bounce buffer */
	struct bounce bounce;
	uint8_t *zeroes; /* BLK_ZEROES_BYTES */

	uint32_t backlog;   /* a bit a queue that has more to pop */
	uint32_t to_notify; /* a bit a queue that has completions to announce */
	uint64_t now_ns;

	bool draining;
	int drain_error; /* of its sync: negative errno */
	struct engine_io drain_io;
	uint64_t drain_sync_point;
	uint64_t writes_done, writes_synced; /* differ: completed writes are not stable */

	struct stats stats;
};

/* Take over what device->image says: limits, alignment, whether reads can be cached. */
void blk_use_image(struct blk_device *device);

/* CLOCK_MONOTONIC. */
uint64_t blk_now_ns(void);

#endif
