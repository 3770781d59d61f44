/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection: non-blocking, with what arrived and is not used yet, what is to be written
 * and did not fit into the socket, and the descriptors that came by SCM_RIGHTS.
 *
 * The owner pulls: stream_readable() tells that something was read; the owner consumes input and
 * pauses reading while it cannot go on. Embedded by its owner; gateway thread.
 */
#ifndef BULKHEAD_VMM_GATEWAY_STREAM_H
#define BULKHEAD_VMM_GATEWAY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devworkers/common/loop.h"
#include "vmm/gateway/buffer.h"

#define STREAM_MAX_FDS		8
#define STREAM_READ_BYTES	8192
#define STREAM_MAX_OUTPUT_BYTES ((size_t)1024 * 1024)

struct stream;

/* None of them is called from within a call into the stream, but from the loop. The last thing that
 * any of them may do is to close the stream and free its owner. */
struct stream_callbacks {
	/* Input, descriptors or the end of input (input_ended) are there. */
	void (*readable)(void *owner);
	/* Everything was written that did not fit before. */
	void (*drained)(void *owner);
	/* The connection is broken, in both directions. */
	void (*broken)(void *owner);
};

struct stream {
	struct loop *loop;
	int fd; /* -1: closed */
	struct loop_watch *watch;
	uint32_t events;
	const struct stream_callbacks *callbacks;
	void *owner;
	struct buffer input, output;
	int fds[STREAM_MAX_FDS];
	unsigned fd_count;
	bool fds_lost;	  /* more descriptors came than are taken: none is kept */
	bool input_ended; /* the peer has shut down its side, or is gone */
	bool reading;
	bool ending_output; /* nothing is written behind what is queued */
	bool failed;	    /* output could not be kept or written; broken() follows */
};

/* Take fd (non-blocking; owned in every case) and read from it. 0 or a negative errno. */
int stream_open(struct stream *stream, struct loop *loop, int fd,
		const struct stream_callbacks *callbacks, void *owner);

/* Close; forgets everything. Accepts a stream that is closed. */
void stream_close(struct stream *stream);

/* Stop and go on reading, so that a client cannot fill our memory while it is not its turn. */
void stream_set_reading(struct stream *stream, bool reading);

/* Write, at once or when the socket takes it. What cannot be kept breaks the stream. */
void stream_write(struct stream *stream, const void *data, size_t bytes);

/* Is something left to be written? */
bool stream_has_output(const struct stream *stream);

/* Say that nothing more will come from us, after the output is written. */
void stream_end_output(struct stream *stream);

/* Close the descriptors that came. */
void stream_drop_fds(struct stream *stream);

#endif
