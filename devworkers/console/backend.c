/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/console/backend.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"

#define MODE(name) BULKHEAD__CONSOLE__MODE__MODE_##name

static void on_client(void *opaque, uint32_t events);
static void on_input_event(void *opaque, uint32_t events);
static void on_output_event(void *opaque, uint32_t events);
static void look_for_pty_peer(void *opaque);

/* ---- open and close ---- */

static int fds_of_mode(Bulkhead__Console__Mode mode)
{
	switch (mode) {
	case MODE(NULL):
		return 0;
	case MODE(TTY):
		return 2;
	case MODE(FILE):
	case MODE(PTY):
	case MODE(SOCKET):
		return 1;
	default:
		return -1;
	}
}

static int open_streams(struct backend *backend, int *fds, struct error *err)
{
	int result;

	switch (backend->mode) {
	case MODE(TTY):
		result = stream_open(&backend->input, &fds[0], err);
		return result < 0 ? result : stream_open(&backend->output, &fds[1], err);
	case MODE(FILE):
		return stream_open(&backend->output, &fds[0], err);
	case MODE(PTY):
		return stream_open(&backend->input, &fds[0], err);
	case MODE(SOCKET):
		return stream_open(&backend->listener, &fds[0], err);
	default:
		return 0;
	}
}

int backend_open(struct backend *backend, struct loop *loop, Bulkhead__Console__Mode mode, int *fds,
		 unsigned fd_count, const struct backend_callbacks *callbacks, void *owner,
		 struct error *err)
{
	int wanted = fds_of_mode(mode);
	int result;

	if (wanted < 0)
		return error_set(err, -EINVAL, "unknown console mode %d", (int)mode);
	if (fd_count != (unsigned)wanted)
		return error_set(err, -EINVAL, "%u file descriptors, the mode needs %d", fd_count,
				 wanted);
	*backend = (struct backend){.mode = mode,
				    .loop = loop,
				    .callbacks = *callbacks,
				    .owner = owner,
				    .full_limit = LOG_RATELIMIT_INIT};
	result = open_streams(backend, fds, err);
	if (result < 0) {
		backend_close(backend);
		return result;
	}
	stream_await(&backend->listener, loop, EPOLLIN, on_client, backend);
	backend_want(backend, false, false);
	return 0;
}

void backend_close(struct backend *backend)
{
	if (backend->loop)
		(void)loop_set_timer(backend->loop, UINT64_MAX, look_for_pty_peer, backend);
	stream_close(&backend->listener);
	stream_close(&backend->input);
	stream_close(&backend->output);
}

/* ---- coming and going ---- */

static void on_client(void *opaque, uint32_t events)
{
	struct backend *backend = opaque;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = accept4(backend->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_error("the console takes no more clients: accept: %s", strerror(errno));
		stream_close(&backend->listener);
		return;
	}
	/* An earlier client that is gone may have left input that the guest does not want yet. */
	stream_close(&backend->input);
	if (stream_open(&backend->input, &fd, &err) < 0)
		return;
	backend->input_ended = backend->hung_up = false;
	/* The next one waits in the queue of the listening socket. */
	stream_forget(&backend->listener);
	backend->callbacks.writable(backend->owner);
	backend->callbacks.readable(backend->owner);
}

/* Everything that the other end of `input` sent has been read. */
static void input_is_over(struct backend *backend)
{
	if (backend->mode == MODE(SOCKET) && backend->hung_up)
		stream_close(&backend->input);
	if (backend->mode == MODE(PTY))
		return;
	/* A client that closed one direction may still want the output. A terminal's fd stays open:
	 * closing puts back flags that it may share with the output. */
	backend->input_ended = true;
	if (backend->mode == MODE(TTY))
		stream_forget(&backend->input);
}

/*
 * The other end of `input` is gone. What it sent can still be read when the guest takes it; until
 * then a hang-up would be reported without end, so it is not watched any more.
 */
static void hang_up(struct backend *backend)
{
	if (backend->hung_up)
		return;
	backend->hung_up = true;
	stream_forget(&backend->input);
	if (backend->mode == MODE(PTY))
		(void)loop_set_timer(backend->loop, channel_now_ms() + PTY_POLL_MS,
				     look_for_pty_peer, backend);
	if (backend->mode == MODE(SOCKET)) {
		stream_await(&backend->listener, backend->loop, EPOLLIN, on_client, backend);
		if (backend->input_ended)
			stream_close(&backend->input);
	}
	if (backend->mode != MODE(TTY))
		backend->callbacks.disconnected(backend->owner);
}

/* The kernel does not tell the master when a slave is opened. True when one is. */
static bool find_pty_peer(struct backend *backend)
{
	struct pollfd poll_fd = {.fd = backend->input.fd, .events = POLLIN};

	if (poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLHUP))
		return false;
	(void)loop_set_timer(backend->loop, UINT64_MAX, look_for_pty_peer, backend);
	backend->hung_up = false;
	backend->pty_was_open = true;
	return true;
}

static void look_for_pty_peer(void *opaque)
{
	struct backend *backend = opaque;

	if (!find_pty_peer(backend)) {
		(void)loop_set_timer(backend->loop, channel_now_ms() + PTY_POLL_MS,
				     look_for_pty_peer, backend);
		return;
	}
	backend->callbacks.writable(backend->owner);
	backend->callbacks.readable(backend->owner);
}

static void output_is_gone(struct backend *backend)
{
	log_warning("the console's output is gone; what the guest prints is dropped");
	backend->output_gone = true;
	stream_forget(&backend->output);
	backend->callbacks.disconnected(backend->owner);
}

/* ---- events ---- */

static void on_input_event(void *opaque, uint32_t events)
{
	struct backend *backend = opaque;

	if (events & (EPOLLHUP | EPOLLERR)) {
		hang_up(backend);
		backend->callbacks.readable(backend->owner);
		return;
	}
	if (events & EPOLLOUT)
		backend->callbacks.writable(backend->owner);
	if (events & EPOLLIN)
		backend->callbacks.readable(backend->owner);
}

static void on_output_event(void *opaque, uint32_t events)
{
	struct backend *backend = opaque;

	if (events & (EPOLLHUP | EPOLLERR))
		output_is_gone(backend);
	else
		backend->callbacks.writable(backend->owner);
}

void backend_want(struct backend *backend, bool input, bool output)
{
	bool both_ways = backend->mode == MODE(PTY) || backend->mode == MODE(SOCKET);
	uint32_t events = input && !backend->input_ended ? EPOLLIN : 0;

	if (both_ways && output)
		events |= EPOLLOUT;
	if (!backend->hung_up && !(backend->mode == MODE(TTY) && backend->input_ended))
		stream_await(&backend->input, backend->loop, events, on_input_event, backend);
	if (!backend->output_gone)
		stream_await(&backend->output, backend->loop, output ? EPOLLOUT : 0,
			     on_output_event, backend);
}

/* ---- bytes ---- */

bool backend_input_is_ready(const struct backend *backend)
{
	return backend->input.open && !backend->input_ended &&
	       (backend->input.always_ready || backend->hung_up);
}

size_t backend_read(struct backend *backend, void *buffer, size_t capacity)
{
	ssize_t length;

	if (!backend->input.open || backend->input_ended)
		return 0;
	do
		length = read(backend->input.fd, buffer, capacity);
	while (length < 0 && errno == EINTR);
	/* Either left behind, or typed by somebody who has opened the slave since we looked. */
	if (length > 0 && backend->mode == MODE(PTY) && backend->hung_up)
		(void)find_pty_peer(backend);
	if (length > 0) {
		backend->pty_was_open = true;
		return (size_t)length;
	}
	if (length == 0 || errno != EAGAIN) {
		/* A master without a slave gives EIO. */
		if (backend->mode == MODE(PTY) || length < 0)
			hang_up(backend);
		input_is_over(backend);
	}
	return 0;
}

static ssize_t write_once(const struct backend *backend, const void *data, size_t bytes)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (backend->mode == MODE(SOCKET))
		return sendmsg(backend->input.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(backend->mode == MODE(PTY) ? backend->input.fd : backend->output.fd, data,
		     bytes);
}

static bool is_connected(const struct backend *backend)
{
	if (backend->mode == MODE(PTY) || backend->mode == MODE(SOCKET))
		return backend->input.open && !backend->hung_up;
	return backend->output.open && !backend->output_gone;
}

/* A write failed: the bytes are lost, and perhaps everything that follows. */
static void write_failed(struct backend *backend, int code)
{
	if (backend->mode == MODE(PTY) || backend->mode == MODE(SOCKET))
		hang_up(backend);
	else if (code != ENOSPC && code != EDQUOT && code != EFBIG)
		output_is_gone(backend);
	else if (log_ratelimit_allow(&backend->full_limit, NULL))
		log_warning("the console's output file takes no more: %s", strerror(code));
}

size_t backend_write(struct backend *backend, const void *data, size_t bytes)
{
	ssize_t length;

	if (!is_connected(backend))
		return bytes;
	do
		length = write_once(backend, data, bytes);
	while (length < 0 && errno == EINTR);
	if (length >= 0)
		return (size_t)length;
	if (errno != EAGAIN) {
		write_failed(backend, errno);
		return bytes;
	}
	/* A terminal that nobody ever opened takes a buffer full and no more. */
	return backend->mode == MODE(PTY) && !backend->pty_was_open ? bytes : 0;
}
