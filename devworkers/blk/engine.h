/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How I/O on the image is done without blocking the worker's thread: io_uring, or threads with
 * preadv2 and friends where io_uring is not to be had. Both are made before the sandbox closes
 * (engine_*_new in ops->prepare) and learn their file later.
 *
 * Life of an I/O: the owner fills a struct engine_io and calls engine_queue(); engine_flush()
 * starts everything queued; engine_reap() calls `done` for each one that ended. Between queue and
 * done the I/O and its segments belong to the engine. All calls from the worker's thread.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_ENGINE_H
#define BULKHEAD_DEVWORKERS_BLK_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ipc/error.h"

#define ENGINE_MAX_IN_FLIGHT 256U

enum engine_io_kind {
	ENGINE_READ,
	ENGINE_WRITE,
	ENGINE_WRITE_STABLE, /* committed to the medium when it ends */
	ENGINE_SYNC,	     /* fdatasync */
	ENGINE_PUNCH,	     /* deallocate; reads as zeroes afterwards */
	ENGINE_ZERO,	     /* zero, stays allocated */
};

struct engine_io {
	enum engine_io_kind kind;
	uint64_t offset_bytes;
	uint64_t length_bytes;	/* punch and zero */
	struct iovec *segments; /* read and write */
	unsigned segment_count;
	int64_t result;		/* bytes moved, 0, or a negative errno */
	struct engine_io *next; /* the engine's own */
};

struct engine;

struct engine_ops {
	const char *name;
	int (*set_file)(struct engine *engine, int fd, struct error *err);
	void (*queue)(struct engine *engine, struct engine_io *io);
	void (*flush)(struct engine *engine);
	unsigned (*reap)(struct engine *engine);
	bool (*arm)(struct engine *engine); /* optional */
	int (*wait)(struct engine *engine);
	void (*destroy)(struct engine *engine);
};

/* Embedded as the first member by each engine. */
struct engine {
	const struct engine_ops *ops;
	int event_fd;	    /* readable (edge-triggered) when there is something to reap */
	unsigned in_flight; /* queued or running */
	unsigned queued;    /* of these: not yet started */
	void (*done)(void *opaque, struct engine_io *io);
	void *opaque;
};

/*
 * An io_uring of ENGINE_MAX_IN_FLIGHT entries restricted by its own rules to reading, writing,
 * syncing and deallocating the one registered file. NULL with err set when this kernel or this
 * sandbox does not give one.
 */
struct engine *engine_uring_new(struct error *err);

/* A pool of threads. NULL with err set. */
struct engine *engine_threads_new(struct error *err);

/* Free; accepts NULL. Nothing may be in flight. */
void engine_destroy(struct engine *engine);

/* Whom to tell. Before the first engine_queue(). */
void engine_set_done(struct engine *engine, void (*done)(void *opaque, struct engine_io *io),
		     void *opaque);

/* The file that all I/O goes to, borrowed. Nothing may be in flight. */
int engine_set_file(struct engine *engine, int fd, struct error *err);

/* Take an I/O; at most ENGINE_MAX_IN_FLIGHT may be in flight. */
void engine_queue(struct engine *engine, struct engine_io *io);

/* Start what was queued. At most one system call; may already collect what ended. */
void engine_flush(struct engine *engine);

/* True when something waits for engine_flush(). */
bool engine_has_queued(const struct engine *engine);

/* Call done for each I/O that ended; return their number. done may queue more. */
unsigned engine_reap(struct engine *engine);

/*
 * Before sleeping on event_fd: from now on it tells. True: something ended already, reap instead.
 */
bool engine_arm(struct engine *engine);

/* Block until at least one I/O in flight has ended (not yet reaped). -EINVAL: none is. */
int engine_wait(struct engine *engine);

#endif
