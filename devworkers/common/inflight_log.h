/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-flight log: shared memory (a memfd kept by the core) in which a worker records every
 * popped descriptor head until its completion is published, so that a restarted worker neither
 * loses nor repeats a request. The layout is fixed and versioned; contents are checked when taken
 * over, since the worker that wrote them may have been hostile.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_INFLIGHT_LOG_H
#define BULKHEAD_DEVWORKERS_COMMON_INFLIGHT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

struct inflight_queue; /* one queue's part */
struct inflight_log;   /* mapping of the whole */

/* Bytes needed for queue_count queues of queue_size entries. */
size_t inflight_log_bytes(unsigned queue_count, unsigned queue_size);

/*
 * Map fd (a memfd of at least that size with F_SEAL_SHRINK; not taken). Fresh (all zero) or left by
 * an earlier worker: then its header must fit. NULL with err set on failure.
 */
struct inflight_log *inflight_log_open(int fd, unsigned queue_count, unsigned queue_size,
				       struct error *err);
void inflight_log_close(struct inflight_log *log); /* accepts NULL */

/* The part of queue `index`, owned by the log; NULL when there is none. */
struct inflight_queue *inflight_log_queue(struct inflight_log *log, unsigned index);

/* Entries: the queue_size of inflight_log_open(). */
unsigned inflight_queue_size(const struct inflight_queue *queue);

/* True once a worker has used the queue since the log was made or the queue was cleared. */
bool inflight_queue_is_started(const struct inflight_queue *queue);
void inflight_queue_start(struct inflight_queue *queue);

void inflight_queue_record(struct inflight_queue *queue,
			   uint16_t head); /* before the request has any effect */
void inflight_queue_forget(struct inflight_queue *queue, uint16_t head); /* the head is un-popped */

/*
 * Around publication of a completion: begin before the used index is published (the entry of head
 * is at free-running used index used_index), then done. Several heads may be begun before one
 * publication.
 */
void inflight_queue_complete_begin(struct inflight_queue *queue, uint16_t head,
				   uint16_t used_index);
void inflight_queue_complete_done(struct inflight_queue *queue, uint16_t head);
void inflight_queue_clear(struct inflight_queue *queue); /* after reset */

/*
 * Take over after a crash: given the used index in the ring, decide which completions that were
 * begun were published; fill heads (capacity: inflight_queue_size()) with the heads still to be
 * done, oldest first. Returns their number.
 */
unsigned inflight_queue_recover(struct inflight_queue *queue, uint16_t ring_used_index,
				uint16_t *heads);

#endif
