/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device side of a split virtqueue (virtio 1.2, 2.7) with indirect descriptors and EVENT_IDX.
 *
 * Everything in the rings is written by the guest at any time: indices and descriptors are read
 * once, checked, and only the copies used. A malformed ring never ends the worker: pop returns
 * -EPROTO with the reason, the queue is then broken (pops nothing more) and the worker reports
 * "needs reset". A virtqueue belongs to one thread.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_VIRTQUEUE_H
#define BULKHEAD_DEVWORKERS_COMMON_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devworkers/common/guest_memory.h"
#include "devworkers/common/inflight_log.h"
#include "ipc/error.h"

#define VIRTQUEUE_MAX_SIZE 1024
#define VIRTQUEUE_MAX_CHAIN                                                                        \
	VIRTQUEUE_MAX_SIZE /* segments of one chain, indirect included; also: never more than the  \
			      queue size */

struct virtqueue_config {
	uint16_t index;
	uint16_t size; /* power of two, 2..VIRTQUEUE_MAX_SIZE */
	uint64_t descriptor_area, driver_area, device_area; /* guest physical */
	bool event_idx, indirect;			    /* accepted features */
	uint16_t next_available, next_used; /* where to go on; 0 for a fresh queue */
};

/*
 * One popped chain. The iovec arrays point into storage of the request itself; each segment is one
 * translated descriptor. Device-readable segments come first (virtio 1.2, 2.7.4.2).
 */
struct virtqueue_chain {
	uint16_t head;
	uint16_t readable_count, writable_count;
	uint64_t readable_bytes,
		writable_bytes; /* each sum is capped at UINT32_MAX: more is malformed */
	struct iovec *readable; /* into segments */
	struct iovec *writable;
	struct iovec *segments; /* storage given by the caller: */
	uint16_t segment_capacity;
};

struct virtqueue {
	struct virtqueue_config config;
	const struct guest_memory *memory; /* borrowed */
	/* translated rings */
	const void *descriptors;
	uint16_t *available;
	void *used;
	uint16_t next_available, next_used;
	uint16_t available_seen; /* the driver's index as read last, already checked */
	uint16_t signalled_used; /* used index when the driver was last told (EVENT_IDX) */
	bool signalled_used_valid;
	bool enabled, broken;
	bool take_over_pending;		 /* the in-flight log has not been looked at yet */
	uint16_t in_flight;		 /* popped, not yet pushed */
	struct inflight_queue *inflight; /* NULL: no in-flight log */
	int kick_fd, call_fd;		 /* eventfds, owned */
	uint16_t unpublished_count;	 /* pushed, used index not yet published */
	uint16_t replay_next, replay_count;
	uint64_t pops_after_replay;			   /* chains popped from the ring itself */
	uint64_t in_flight_heads[VIRTQUEUE_MAX_SIZE / 64]; /* a bit a head */
	uint16_t unpublished[VIRTQUEUE_MAX_SIZE];	   /* kept for the in-flight log only */
	uint16_t replay[VIRTQUEUE_MAX_SIZE]; /* heads that an earlier worker left undone */
};

/*
 * Check and translate the rings: size, alignment (16/2/4), no overflow, each wholly inside guest
 * memory. Touches none of them (on-demand memory may not be served yet). memory is borrowed and
 * must outlive the queue; kick_fd and call_fd are taken on success. -EINVAL with the reason
 * otherwise. in-flight entries of a restarted worker are re-queued first by pop.
 */
int virtqueue_start(struct virtqueue *queue, const struct virtqueue_config *config,
		    const struct guest_memory *memory, struct inflight_queue *inflight, int kick_fd,
		    int call_fd, struct error *err);

/*
 * First touch of the rings: go on from the in-flight log if an earlier worker left one. Called by
 * the first pop if not before. With a log that was in use the indices come from it and the ring,
 * not from the configuration.
 */
void virtqueue_take_over(struct virtqueue *queue);

/*
 * For restored indices: -EINVAL unless the driver's available index is at most a queue ahead of
 * next_available. (A running queue is checked by pop.)
 */
int virtqueue_check_available(const struct virtqueue *queue, struct error *err);

/* Close the eventfds and forget the rings. Accepts a zeroed or stopped queue. */
void virtqueue_stop(struct virtqueue *queue);

/*
 * Take the next available chain. 1: chain filled; 0: nothing available; -EPROTO: malformed, err
 * says how
 * ("queue 0: descriptor 7 loops"), the queue is now broken. chain->segments/segment_capacity are
 * set by the caller before; a chain with more segments than capacity or than the queue size is
 * malformed.
 */
int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain, struct error *err);

/*
 * Give a chain back with written_bytes in its writable part. Marks the used ring (and nothing else)
 * dirty; data pages are marked by who wrote them (virtqueue_chain_mark_dirty()). The used index is
 * published at once.
 */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written_bytes);

/*
 * The same without publishing: for batches. The driver sees nothing until virtqueue_publish() or
 * virtqueue_notify(), which must follow before the loop sleeps.
 */
void virtqueue_push_deferred(struct virtqueue *queue, uint16_t head, uint32_t written_bytes);
void virtqueue_publish(struct virtqueue *queue);

/* Mark the first written_bytes of the chain's writable segments dirty. Before virtqueue_push(). */
void virtqueue_chain_mark_dirty(const struct virtqueue *queue, const struct virtqueue_chain *chain,
				uint64_t written_bytes);

/* Un-pop the chain popped last (only when nothing was popped after it; may be repeated backwards):
 * for quiesce and back-pressure. */
void virtqueue_unpop(struct virtqueue *queue, uint16_t head);

/* Publish, and tell the driver if it wants to know (flags, EVENT_IDX): writes the call eventfd.
 * Once after a batch. */
void virtqueue_notify(struct virtqueue *queue);

/* Tell the driver whatever its suppression says: after restore, resume and restart. */
void virtqueue_notify_always(struct virtqueue *queue);

/*
 * Ask for (true) or suppress (false) kicks. Enabling returns true when entries became available in
 * the meantime: the caller must pop again (closes the race between the last pop and the new event
 * index).
 */
bool virtqueue_enable_kicks(struct virtqueue *queue, bool enable);

/* Copy between a chain's segments and a buffer; return bytes copied (less when the chain is
 * shorter). */
size_t virtqueue_iov_read(const struct iovec *segments, unsigned count, size_t offset_bytes,
			  void *to, size_t length_bytes);
size_t virtqueue_iov_write(const struct iovec *segments, unsigned count, size_t offset_bytes,
			   const void *from, size_t length_bytes);

#endif
