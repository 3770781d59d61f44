/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a serial port's bytes go and come from: a terminal or a pair of fds, a file, a pseudo
 * terminal, a unix socket that one client at a time may connect to. Lives on the loop thread; only
 * its wake-up is used by vCPU threads. Nothing here ever blocks the loop, whatever the other end
 * does: while it takes nothing the UART's ring fills up, and the guest's transmitter is not ready.
 * Without another end (no client, nobody has the pty open) output is dropped.
 *
 * SIGPIPE must be ignored by the process.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_SERIAL_BACKEND_H
#define BULKHEAD_VMM_CORE_PLATFORM_SERIAL_BACKEND_H

#include <uv.h>

#include "ipc/error.h"
#include "vmm/core/platform/serial.h"

enum serial_backend_kind {
	SERIAL_BACKEND_STREAM, /* input_fd (-1: none) and output_fd (-1: none): stdio, a file. A
				  terminal is set raw until serial_backend_destroy(). */
	SERIAL_BACKEND_PTY,    /* input_fd: the master */
	SERIAL_BACKEND_SOCKET, /* input_fd: listening stream socket */
};

struct serial_backend_options {
	enum serial_backend_kind kind;
	int input_fd, output_fd; /* borrowed until the backend is destroyed */
};

struct serial_backend;

/* NULL with err set on failure. Needs no path and no new socket, then or later (but accept4). */
struct serial_backend *serial_backend_new(uv_loop_t *loop, struct serial *serial,
					  const struct serial_backend_options *options,
					  struct error *err);

/*
 * Let go of the serial port and the fds at once, write what output can be written without waiting,
 * put the terminal back as it was. Its memory goes when the loop has run its close callbacks.
 * Accepts NULL.
 */
void serial_backend_destroy(struct serial_backend *backend);

#endif
