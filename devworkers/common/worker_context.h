/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker process, as its own parts see it: worker.c (start and end), worker_protocol.c
 * (messages), worker_activate.c (ACTIVATE), worker_queues.c (queues and draining) and
 * worker_state.c (saved state). Devices see worker.h only. One object a process, one thread.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_WORKER_CONTEXT_H
#define BULKHEAD_DEVWORKERS_COMMON_WORKER_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/common/inflight_log.h"
#include "devworkers/common/loop.h"
#include "devworkers/common/loop_channel.h"
#include "devworkers/common/worker.h"
#include "ipc/channel.h"
#include "ipc/log.h"
#include "proto/worker.pb-c.h"

#define WORKER_MAX_COUNTERS 64

struct worker_queue {
	struct worker *worker;
	struct virtqueue queue;
	struct loop_watch *watch; /* of the kick eventfd; NULL: the queue pops nothing */
	bool started;		  /* enabled by the driver: the rings are mapped */
};

/* The request (RESET, QUIESCE or SHUTDOWN) that waits for the device to drain. */
struct worker_drain {
	uint16_t type; /* MESSAGE_NONE: none waits */
	uint32_t request_id;
};

struct worker {
	const struct worker_device_ops *ops;
	void *device;
	char device_id[64];
	char vm_name[64];
	struct loop *loop;
	struct channel *channel;
	struct loop_channel channel_watch;

	Bulkhead__Worker__State state;
	bool active;	  /* ACTIVATE was done and no RESET since */
	bool quiescing;	  /* nothing is popped: from QUIESCE, RESET or SHUTDOWN on */
	bool needs_reset; /* reported; until RESET */
	bool ending;	  /* SHUTDOWN was answered: stop when the answer is out */
	struct worker_drain drain;
	struct log_ratelimit guest_lines; /* log lines that a guest can cause */

	struct worker_description description; /* from CONFIGURE on */
	Bulkhead__Worker__SavedState *saved;   /* from CONFIGURE to ACTIVATE; checked; or NULL */
	uint64_t features;
	struct guest_memory memory;
	/* A copy of what the core was given: were the core's the last one and lost on its way, the
	 * kernel would fill missing pages with zeros. -1: memory is not on demand. */
	int userfaultfd;
	struct inflight_log *inflight;
	int dirty_log_fd; /* logging is on; -1 */
	struct worker_queue queues[WORKER_MAX_QUEUES];
};

/* ---- worker_protocol.c ---- */

/* What the core may send. */
extern const struct channel_row worker_rows[];
extern const size_t worker_row_count;

/* ---- worker_channel.c ---- */

/* Make the channel on fd (taken on success). */
int worker_open_channel(struct worker *worker, int fd, struct error *err);
void worker_close_channel(struct worker *worker);

/* Watch the channel for what it waits for now: after anything was sent outside its callback. */
void worker_watch_channel(struct worker *worker);

/* Answer a request; body only when failure is NULL. fds are borrowed. */
void worker_reply(struct worker *worker, uint16_t type, uint32_t id, const ProtobufCMessage *body,
		  const int *fds, unsigned fd_count);
void worker_reply_error(struct worker *worker, uint16_t type, uint32_t id,
			const struct error *failure);

/* ---- worker_activate.c ---- */

/*
 * Map memory, start queues; nothing is popped yet. failure is set and everything undone when it
 * cannot be done; returns a negative errno with err set only when the message breaks the protocol.
 * worker->userfaultfd is set when memory is on demand.
 */
int worker_activate(struct worker *worker, struct channel_message *message, struct error *failure,
		    struct error *err);

/* ---- worker_queues.c ---- */

/* Let the queues run (or go on): every one is looked at as if kicked. */
void worker_run_queues(struct worker *worker);

/* As worker_run_queues(), and the drivers are told of everything that is used. */
void worker_resume_queues(struct worker *worker);

/* Stop queues, unmap guest memory: what ACTIVATE made. Accepts an inactive worker. */
void worker_release_guest(struct worker *worker);

/* Begin to drain for the request (type, id); it is answered when drained, failed or late. */
void worker_begin_drain(struct worker *worker, uint16_t type, uint32_t id, uint32_t timeout_ms);

/* Answer the waiting request, if any, with an error; the device may still be draining. */
void worker_abandon_drain(struct worker *worker, int code, const char *reason);

/* ---- worker_state.c ---- */

/* Check a packed SavedState (hostile) against the configured device; *saved is owned by the caller.
 */
int worker_parse_saved(const struct worker *worker, const uint8_t *bytes, size_t length_bytes,
		       Bulkhead__Worker__SavedState **saved, struct error *err);
void worker_free_saved(Bulkhead__Worker__SavedState *saved); /* accepts NULL */

/* The saved part of the queue that `queue` asks to restore, or NULL with err set. */
const Bulkhead__Worker__SavedQueue *worker_find_saved_queue(const struct worker *worker,
							    const Bulkhead__Worker__Queue *queue,
							    struct error *err);

/* Pack the worker's state into *state (malloc). QUIESCED only. */
int worker_pack_state(struct worker *worker, uint8_t **state, size_t *state_bytes,
		      struct error *err);

#endif
