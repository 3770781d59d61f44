/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/serial_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/platform/terminal.h"
#include "vmm/core/platform/watched_fd.h"

#define OUTPUT_CHUNK_BYTES 4096
#define INPUT_CHUNK_BYTES  SERIAL_RECEIVE_BYTES
#define CHUNKS_A_TURN	   16 /* then the rest of the loop has its turn */
#define PTY_LOOK_AGAIN_MS  200
#define HANDLE_COUNT	   3

/*
 * DISCONNECTED: nobody is at the other end; output is dropped. Then CONNECTED when a client has
 *   connected or opened the pty.
 * CONNECTED: bytes flow. STREAM is always here, even when its input has ended. Then DISCONNECTED
 *   when the client is gone.
 */
enum connection {
	DISCONNECTED,
	CONNECTED,
};

struct serial_backend {
	struct serial *serial;
	enum serial_backend_kind kind;
	enum connection connection;

	/* All fds are watched through one epoll fd: uv_poll would make them non-blocking. */
	int epoll_fd;
	uv_poll_t poll;
	uv_async_t wake;
	uv_timer_t timer; /* looks whether the pty was opened */
	unsigned open_handles;

	struct watched_fd listener; /* SOCKET */
	struct watched_fd input,
		output; /* the same fd but for STREAM; watched through output then */
	bool owns_fds;	/* SOCKET: the client's */
	bool input_ended, hung_up;

	uint8_t chunk[OUTPUT_CHUNK_BYTES]; /* taken from the ring, not yet written */
	size_t chunk_start, chunk_end;

	struct terminal terminal;
};

static void serial_backend_disconnect(struct serial_backend *backend, int why);

/* ---- bytes ---- */

/* Write a chunk. False: no more now, because there is none or it would block. */
static bool serial_backend_write_chunk(struct serial_backend *backend)
{
	ssize_t put;

	if (backend->connection != CONNECTED || backend->output.fd < 0)
		return false;
	if (backend->chunk_start == backend->chunk_end) {
		backend->chunk_start = 0;
		backend->chunk_end =
			serial_take_output(backend->serial, backend->chunk, sizeof(backend->chunk));
	}
	if (backend->chunk_start == backend->chunk_end)
		return false;
	put = watched_fd_write(&backend->output, backend->chunk + backend->chunk_start,
			       backend->chunk_end - backend->chunk_start);
	if (put >= 0) {
		backend->chunk_start += (size_t)put;
		return put > 0;
	}
	if (put == -EINTR)
		return true;
	if (put != -EAGAIN)
		serial_backend_disconnect(backend, (int)put);
	return false;
}

/* Read what there is room for. False: no more now. */
static bool serial_backend_read_chunk(struct serial_backend *backend)
{
	uint8_t bytes[INPUT_CHUNK_BYTES];
	size_t room;
	ssize_t got;

	if (backend->connection != CONNECTED || backend->input_ended)
		return false;
	room = serial_input_room(backend->serial);
	if (room == 0)
		return false;
	got = watched_fd_read(&backend->input, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
	if (got == -EAGAIN)
		return false;
	if (got == -EINTR)
		return true;
	if (got > 0)
		serial_give_input(backend->serial, bytes, (size_t)got);
	else if (got == 0 || backend->kind == SERIAL_BACKEND_STREAM)
		backend->input_ended = true;
	else
		serial_backend_disconnect(backend, (int)got);
	return true;
}

/* Edge-triggered: go on until nothing can be done any more, or come back after the others. */
static void serial_backend_pump(struct serial_backend *backend)
{
	unsigned turns = 0;
	bool more;

	do {
		more = serial_backend_read_chunk(backend);
		more = serial_backend_write_chunk(backend) || more;
	} while (more && ++turns < CHUNKS_A_TURN);
	if (more)
		(void)uv_async_send(&backend->wake);
	/* A client that has closed its end only may still want to see output. */
	if (backend->input_ended && backend->hung_up && backend->connection == CONNECTED)
		serial_backend_disconnect(backend, 0);
}

/* ---- the other end comes and goes ---- */

static void serial_backend_connect(struct serial_backend *backend, int input_fd, int output_fd)
{
	int result;

	watched_fd_init(&backend->input, input_fd);
	watched_fd_init(&backend->output, output_fd);
	backend->input_ended = input_fd < 0;
	backend->hung_up = false;
	backend->chunk_start = backend->chunk_end = 0;
	backend->connection = CONNECTED;
	if (input_fd == output_fd) {
		result = watched_fd_watch(&backend->output, backend->epoll_fd, EPOLLIN | EPOLLOUT);
	} else {
		result = watched_fd_watch(&backend->input, backend->epoll_fd, EPOLLIN);
		if (result == 0)
			result = watched_fd_watch(&backend->output, backend->epoll_fd, EPOLLOUT);
	}
	if (result < 0) {
		serial_backend_disconnect(backend, result);
		return;
	}
	serial_set_connected(backend->serial, output_fd >= 0);
	serial_backend_pump(backend);
}

static void serial_backend_accept(struct serial_backend *backend)
{
	int fd = accept4(backend->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	/* One client at a time: the next waits in the socket's queue. */
	watched_fd_unwatch(&backend->listener, backend->epoll_fd);
	backend->owns_fds = true;
	serial_backend_connect(backend, fd, fd);
}

/* The master hangs up as long as nobody has the slave open. */
static void serial_backend_on_timer(uv_timer_t *timer)
{
	struct serial_backend *backend = timer->data;
	struct pollfd master = {.fd = backend->input.fd, .events = POLLIN};

	if (poll(&master, 1, 0) == 1 && (master.revents & (POLLHUP | POLLERR)))
		return;
	(void)uv_timer_stop(timer);
	serial_backend_connect(backend, master.fd, master.fd);
}

static void serial_backend_wait_for_peer(struct serial_backend *backend)
{
	if (backend->kind == SERIAL_BACKEND_SOCKET)
		(void)watched_fd_watch(&backend->listener, backend->epoll_fd, EPOLLIN);
	else if (backend->kind == SERIAL_BACKEND_PTY)
		(void)uv_timer_start(&backend->timer, serial_backend_on_timer, PTY_LOOK_AGAIN_MS,
				     PTY_LOOK_AGAIN_MS);
}

static void serial_backend_disconnect(struct serial_backend *backend, int why)
{
	backend->connection = DISCONNECTED;
	serial_set_connected(backend->serial, false);
	if (backend->kind == SERIAL_BACKEND_STREAM)
		log_warning("serial port: %s: its output is dropped from now on",
			    why ? strerror(-why) : "nobody reads it any more");
	watched_fd_unwatch(&backend->input, backend->epoll_fd);
	watched_fd_unwatch(&backend->output, backend->epoll_fd);
	if (backend->owns_fds)
		fd_close(&backend->input.fd);
	backend->owns_fds = false;
	backend->output.fd = -1;
	serial_backend_wait_for_peer(backend);
}

/* ---- the loop ---- */

static void serial_backend_on_poll(uv_poll_t *poll, int status, int events)
{
	struct serial_backend *backend = poll->data;
	struct epoll_event ready[3];
	int count = epoll_wait(backend->epoll_fd, ready, 3, 0);

	(void)status;
	(void)events;
	for (int i = 0; i < count; i++) {
		if (ready[i].data.ptr == &backend->listener)
			serial_backend_accept(backend);
		else if (ready[i].data.ptr == &backend->output &&
			 (ready[i].events & (EPOLLHUP | EPOLLERR)))
			backend->hung_up = true;
	}
	serial_backend_pump(backend);
}

static void serial_backend_on_wake(uv_async_t *async)
{
	serial_backend_pump(async->data);
}

static void wake_loop(void *opaque)
{
	struct serial_backend *backend = opaque;

	(void)uv_async_send(&backend->wake);
}

/* ---- life ---- */

/*
 * Make the pty hang up until somebody opens it (before its first opening it does not), and pass
 * bytes through as they are.
 */
static void serial_backend_prepare_pty(int master_fd)
{
	struct termios raw;
	int slave_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave_fd < 0)
		return;
	if (tcgetattr(slave_fd, &raw) == 0) {
		cfmakeraw(&raw);
		(void)tcsetattr(slave_fd, TCSANOW, &raw);
	}
	close(slave_fd);
}

static void serial_backend_start(struct serial_backend *backend,
				 const struct serial_backend_options *options)
{
	serial_set_backend(backend->serial, wake_loop, backend);
	switch (options->kind) {
	case SERIAL_BACKEND_STREAM:
		terminal_set_raw(&backend->terminal, options->input_fd);
		serial_backend_connect(backend, options->input_fd, options->output_fd);
		break;
	case SERIAL_BACKEND_PTY:
		serial_backend_prepare_pty(options->input_fd);
		watched_fd_init(&backend->input, options->input_fd);
		serial_backend_wait_for_peer(backend);
		break;
	case SERIAL_BACKEND_SOCKET:
		watched_fd_init(&backend->listener, options->input_fd);
		serial_backend_wait_for_peer(backend);
		break;
	}
}

static int serial_backend_init_handles(struct serial_backend *backend, uv_loop_t *loop)
{
	int result = uv_poll_init(loop, &backend->poll, backend->epoll_fd);

	if (result < 0)
		return result;
	backend->poll.data = backend;
	backend->open_handles++;
	(void)uv_timer_init(loop, &backend->timer);
	backend->timer.data = backend;
	backend->open_handles++;
	result = uv_async_init(loop, &backend->wake, serial_backend_on_wake);
	if (result < 0)
		return result;
	backend->wake.data = backend;
	backend->open_handles++;
	return uv_poll_start(&backend->poll, UV_READABLE, serial_backend_on_poll);
}

struct serial_backend *serial_backend_new(uv_loop_t *loop, struct serial *serial,
					  const struct serial_backend_options *options,
					  struct error *err)
{
	struct serial_backend *backend = calloc(1, sizeof(*backend));
	int result;

	if (!backend) {
		error_set(err, -ENOMEM, "serial port: out of memory");
		return NULL;
	}
	backend->serial = serial;
	backend->kind = options->kind;
	backend->input.fd = backend->output.fd = backend->listener.fd = -1;
	backend->terminal.fd = -1;
	backend->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	result = backend->epoll_fd < 0 ? -errno : serial_backend_init_handles(backend, loop);
	if (result < 0) {
		error_set_errno(err, result, "serial port");
		serial_backend_destroy(backend);
		return NULL;
	}
	serial_backend_start(backend, options);
	return backend;
}

static void serial_backend_on_closed(uv_handle_t *handle)
{
	struct serial_backend *backend = handle->data;

	if (--backend->open_handles > 0)
		return;
	fd_close(&backend->epoll_fd);
	free(backend);
}

static void serial_backend_close_handles(struct serial_backend *backend)
{
	uv_handle_t *handles[HANDLE_COUNT] = {(uv_handle_t *)&backend->poll,
					      (uv_handle_t *)&backend->timer,
					      (uv_handle_t *)&backend->wake};
	unsigned count = backend->open_handles; /* they were made in this order */

	if (count == 0) {
		fd_close(&backend->epoll_fd);
		free(backend);
		return;
	}
	for (unsigned i = 0; i < HANDLE_COUNT && i < count; i++)
		uv_close(handles[i], serial_backend_on_closed);
}

void serial_backend_destroy(struct serial_backend *backend)
{
	if (!backend)
		return;
	/* vCPUs are stopped: this is at most what the ring holds. */
	while (serial_backend_write_chunk(backend))
		continue;
	serial_set_connected(backend->serial, false);
	serial_set_backend(backend->serial, NULL, NULL);
	if (backend->owns_fds)
		fd_close(&backend->input.fd);
	terminal_restore(&backend->terminal);
	serial_backend_close_handles(backend);
}
