/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outer side of the console: where the guest's output goes and its input comes from. Hides the
 * differences of NULL, TTY, FILE, PTY and SOCKET behind non-blocking reads and writes and three
 * callbacks. Nothing here waits; whatever the other end does, the worker goes on.
 *
 *   TTY     input and output fd; the end of either leaves the other alone
 *   FILE    output only
 *   PTY     the master; while no slave is open (hang-up) nobody is connected, which is looked at
 *           every PTY_POLL_MS, since the kernel does not tell
 *   SOCKET  a listening socket; one client at a time, the next is taken when it is gone
 */
#ifndef BULKHEAD_DEVWORKERS_CONSOLE_BACKEND_H
#define BULKHEAD_DEVWORKERS_CONSOLE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "devworkers/common/loop.h"
#include "ipc/error.h"
#include "ipc/log.h"
#include "proto/console.pb-c.h"

#define PTY_POLL_MS 500

/* One fd and what is awaited on it. A zeroed stream is closed. */
struct stream {
	bool open;
	bool always_ready; /* a regular file: cannot be watched, never makes us wait */
	int fd;		   /* owned */
	struct loop_watch *watch;
	uint32_t events;
};

struct backend_callbacks {
	void (*readable)(void *owner);
	void (*writable)(void *owner);
	void (*disconnected)(void *owner); /* what is held back will never be taken */
};

struct backend {
	Bulkhead__Console__Mode mode;
	struct loop *loop;
	struct backend_callbacks callbacks;
	void *owner;
	struct stream listener;
	struct stream input;
	struct stream output; /* PTY, SOCKET: closed; `input` serves both ways */
	bool input_ended;     /* nothing more to read from `input` */
	bool hung_up;	      /* the other end of `input` is gone; what it sent can be read */
	bool output_gone;     /* of `output`, for good */
	bool pty_was_open;    /* somebody had the slave open for certain */
	struct log_ratelimit full_limit;
};

/* What the mode needs of fds is taken; -EINVAL when it is not what is there. loop is borrowed. */
int backend_open(struct backend *backend, struct loop *loop, Bulkhead__Console__Mode mode, int *fds,
		 unsigned fd_count, const struct backend_callbacks *callbacks, void *owner,
		 struct error *err);
void backend_close(struct backend *backend); /* accepts a zeroed one */

/* Bytes read, 0: none now. After the end of input it stays 0. */
size_t backend_read(struct backend *backend, void *buffer, size_t capacity);

/* Bytes taken, 0: none now, ask for writable. Everything is "taken" while nobody is connected. */
size_t backend_write(struct backend *backend, const void *data, size_t bytes);

/* Which callbacks are wanted from now on. */
void backend_want(struct backend *backend, bool input, bool output);

/* True when input can be read without a readable callback (a regular file, or what somebody left
 * who hung up). */
bool backend_input_is_ready(const struct backend *backend);

/* ---- stream.c ---- */

/* Take *fd and make it non-blocking. A terminal that others use is put right again by the core. */
int stream_open(struct stream *stream, int *fd, struct error *err);
void stream_close(struct stream *stream);

/* Await nothing more. */
void stream_forget(struct stream *stream);

/* Await events (0: only errors and hang-up). */
void stream_await(struct stream *stream, struct loop *loop, uint32_t events, loop_fd_fn callback,
		  void *opaque);

#endif
