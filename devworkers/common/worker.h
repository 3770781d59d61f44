/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every device worker has in common: start, sandbox, the socket to the core, life cycle,
 * queues.
 *
 * A device is a folder with one struct worker_device_ops of designated initializers at the bottom
 * of its main file and `int main(int argc, char **argv) { return worker_main(argc, argv, &blk_ops);
 * }`. Absent callbacks mean the default that their comment gives. Everything runs on one thread,
 * the worker's loop (devworkers/common/loop.h), unless the device itself says otherwise.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_WORKER_H
#define BULKHEAD_DEVWORKERS_COMMON_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

#include "devworkers/common/loop.h"
#include "devworkers/common/virtqueue.h"
#include "ipc/error.h"

#define WORKER_MAX_QUEUES	16
#define WORKER_MAX_CONFIG_SPACE 256

struct worker;

/* What CONFIGURED tells the core; filled by configure(). */
struct worker_description {
	uint64_t features; /* device-specific and ring features; VERSION_1, INDIRECT_DESC and
			      EVENT_IDX are added */
	uint8_t config_space[WORKER_MAX_CONFIG_SPACE];
	size_t config_space_bytes;
	unsigned queue_count;
	uint16_t queue_sizes[WORKER_MAX_QUEUES];
};

struct worker_counter {
	const char *name;
	uint64_t value;
};

struct worker_device_ops {
	const char *kind;  /* "blk" */
	size_t state_size; /* bytes of the device's own struct, zeroed, worker_device() */
	const struct sock_fprog *seccomp_policy; /* compiled at build time from policy.seccomp */

	/* Before the sandbox closes: io_uring_setup, threads. Optional. */
	int (*prepare)(struct worker *worker, struct error *err);
	/* Parse and check the device's config message. fds: steal what is kept (fd_steal).
	 * Required. */
	int (*configure)(struct worker *worker, const uint8_t *config, size_t config_bytes,
			 int *fds, unsigned fd_count, struct worker_description *description,
			 struct error *err);
	/* Queues are started, before the first kick is handled. Must not touch guest memory: it may
	 * be served on demand only after the answer. Optional. */
	int (*activate)(struct worker *worker, uint64_t features, struct error *err);
	/* Queue was kicked (also once after activation, resume and restart). Pop until empty.
	 * Required. */
	void (*queue_ready)(struct worker *worker, struct virtqueue *queue);
	/*
	 * Stop popping and drain: finish or give back every popped chain, flush what the device
	 * promised. Return 0 when drained already, 1 when worker_drained() will be called later,
	 * negative errno when it cannot. Also used before reset and shutdown. Optional: drained at
	 * once.
	 */
	int (*drain)(struct worker *worker, struct error *err);
	/* Return to the freshly configured state (queues are stopped after it); also after a failed
	 * activation. Optional. */
	void (*reset)(struct worker *worker);
	/* Pack the device's own state message into *state (malloc; freed by the caller). Optional:
	 * empty. */
	int (*save)(struct worker *worker, uint8_t **state, size_t *state_bytes, struct error *err);
	/* Check a state blob (hostile) and apply it. Called in CONFIGURE, before activation.
	 * Optional: must be empty. */
	int (*restore)(struct worker *worker, const uint8_t *state, size_t state_bytes,
		       struct error *err);
	/* Optional: -EOPNOTSUPP. */
	int (*update)(struct worker *worker, const uint8_t *update, size_t update_bytes, int *fds,
		      unsigned fd_count, struct error *err);
	/* Fill counters, return their number (at most capacity). Optional: none. */
	unsigned (*counters)(struct worker *worker, struct worker_counter *counters,
			     unsigned capacity);
	/* Free everything the device holds; accepts a half-built one. Optional. */
	void (*destroy)(struct worker *worker);
};

/*
 * Run a worker: sandbox, protocol, until SHUTDOWN or the core is gone. Returns the exit status. The
 * broker passes --device-id=ID --vm-name=NAME --log-level=N --log-json --seccomp=true|log|false
 * (all optional).
 */
int worker_main(int argc, char **argv, const struct worker_device_ops *ops);

void *worker_device(struct worker *worker); /* the device's own struct */
struct loop *worker_loop(struct worker *worker);
const char *worker_device_id(const struct worker *worker);
struct guest_memory *worker_memory(struct worker *worker);
struct virtqueue *worker_queue(struct worker *worker, unsigned index); /* NULL: not enabled */
uint64_t worker_features(const struct worker *worker);		       /* accepted by the driver */
bool worker_is_quiescing(const struct worker *worker); /* queue_ready must not pop */

/*
 * The drain that returned 1 is finished (err NULL or without code) or failed. What waited for it is
 * done inside: the device may be reset and its queues gone when this returns. Without a drain that
 * waits, or with chains still in flight (an earlier drain was given up, these are newer), a success
 * is ignored: call it again when they are done.
 */
void worker_drained(struct worker *worker, const struct error *err);

/* New config space content: tells the core, which interrupts the driver. */
void worker_config_changed(struct worker *worker, const void *config_space, size_t bytes);

/*
 * The device met something it cannot go on from (a broken ring): no queue pops any more, the core
 * is told, once until RESET. What is in flight is still to be finished and pushed.
 */
void worker_needs_reset(struct worker *worker, const char *reason);

#endif
