/* SPDX-License-Identifier: Apache-2.0 */
/* A guest with one console, for the console tests: the real worker in its sandbox, memory, two
 * rings, and helpers that print and read as a driver does. */
#ifndef BULKHEAD_TESTS_DEVWORKERS_CONSOLE_CONSOLE_GUEST_H
#define BULKHEAD_TESTS_DEVWORKERS_CONSOLE_CONSOLE_GUEST_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/console.pb-c.h"
#include "tests/devworkers/common/worker_driver.h"

#define RAM_BYTES     (4U << 20)
#define RING_SIZE     64
#define WAIT_MS	      5000U
#define NOT_WITHIN_MS 100U
#define OUTPUT_BYTES  (1U << 20)
#define INPUT_BYTES   4096U

struct console_guest {
	struct worker_driver driver;
	struct guest_ram ram;
	struct ring_driver receive, transmit;
	struct ring_driver *rings[2];
	uint64_t output, input; /* gpa */
};

static inline int console_guest_start(void **state)
{
	struct console_guest *guest = calloc(1, sizeof(*guest));
	struct error err = ERROR_INIT;

	assert_non_null(guest);
	*state = guest;
	if (worker_driver_start(&guest->driver, "console", &err) < 0) {
		if (err.code != -EPERM && err.code != -EACCES)
			fail_msg("%s", err.message);
		print_message("skip: no sandboxed process can be started: %s\n", err.message);
		skip();
	}
	guest_ram_init(&guest->ram, 0, RAM_BYTES);
	ring_driver_init(&guest->receive, &guest->ram, 0, RING_SIZE, true);
	ring_driver_init(&guest->transmit, &guest->ram, 1, RING_SIZE, true);
	guest->rings[0] = &guest->receive;
	guest->rings[1] = &guest->transmit;
	guest->output = guest_ram_allocate(&guest->ram, OUTPUT_BYTES, 4096);
	guest->input = guest_ram_allocate(&guest->ram, INPUT_BYTES, 4096);
	return 0;
}

static inline int console_guest_stop(void **state)
{
	struct console_guest *guest = *state;
	int status = worker_driver_stop(&guest->driver);

	ring_driver_destroy(&guest->receive);
	ring_driver_destroy(&guest->transmit);
	guest_ram_destroy(&guest->ram);
	free(guest);
	return status;
}

static inline void console_guest_configure(struct console_guest *guest,
					   Bulkhead__Console__Mode mode, const int *fds,
					   unsigned fd_count)
{
	Bulkhead__Console__Config config;
	struct error err = ERROR_INIT;

	bulkhead__console__config__init(&config);
	config.mode = mode;
	if (worker_driver_configure(&guest->driver, &config.base, fds, fd_count, &err) < 0)
		fail_msg("%s", err.message);
}

static inline void console_guest_activate(struct console_guest *guest)
{
	struct error err = ERROR_INIT;

	if (worker_driver_activate_simple(&guest->driver, &guest->ram, guest->rings, 2, &err) < 0)
		fail_msg("%s", err.message);
}

static inline void console_guest_run(struct console_guest *guest, Bulkhead__Console__Mode mode,
				     const int *fds, unsigned fd_count)
{
	console_guest_configure(guest, mode, fds, fd_count);
	console_guest_activate(guest);
}

/* Offer output without waiting for it to be used. */
static inline void console_guest_offer(struct console_guest *guest, const void *data, size_t bytes)
{
	struct ring_segment segment = {guest->output, (uint32_t)bytes, false};

	assert_true(bytes <= OUTPUT_BYTES);
	memcpy(guest_ram_at(&guest->ram, guest->output), data, bytes);
	assert_true(ring_driver_add(&guest->transmit, &segment, 1) >= 0);
	ring_driver_kick(&guest->transmit);
}

static inline void console_guest_print(struct console_guest *guest, const char *text)
{
	console_guest_offer(guest, text, strlen(text));
	assert_true(ring_driver_complete(&guest->transmit, WAIT_MS, NULL));
}

/* Print `bytes` bytes of a pattern in chains of 4 KiB until one is not used at once. Returns the
 * bytes in chains offered; the last may be in flight (*waiting). */
static inline size_t console_guest_flood(struct console_guest *guest, size_t bytes, bool *waiting)
{
	uint8_t chunk[4096];
	size_t offered = 0;

	*waiting = false;
	while (offered < bytes && !*waiting) {
		for (size_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = (uint8_t)((offered + i) % 251);
		console_guest_offer(guest, chunk, sizeof(chunk));
		offered += sizeof(chunk);
		*waiting = !ring_driver_complete(&guest->transmit, NOT_WITHIN_MS, NULL);
	}
	return offered;
}

/* Read `bytes` of that pattern from fd and check it. */
static inline void assert_reads_pattern(int fd, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		uint8_t chunk[4096];
		size_t wanted = bytes - done < sizeof(chunk) ? bytes - done : sizeof(chunk);
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t length;

		assert_int_equal(poll(&poll_fd, 1, (int)WAIT_MS), 1);
		length = read(fd, chunk, wanted);
		assert_true(length > 0);
		for (ssize_t i = 0; i < length; i++)
			assert_int_equal(chunk[i], (uint8_t)((done + (size_t)i) % 251));
		done += (size_t)length;
	}
}

/* Read exactly `text` from fd. */
static inline void assert_reads(int fd, const char *text)
{
	char buffer[256];
	size_t wanted = strlen(text), done = 0;

	assert_true(wanted < sizeof(buffer));
	while (done < wanted) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t length;

		assert_int_equal(poll(&poll_fd, 1, (int)WAIT_MS), 1);
		length = read(fd, buffer + done, wanted - done);
		assert_true(length > 0);
		done += (size_t)length;
	}
	assert_memory_equal(buffer, text, wanted);
}

/* Offer a receive buffer. */
static inline void console_guest_offer_input(struct console_guest *guest, uint32_t bytes)
{
	struct ring_segment segment = {guest->input, bytes, true};

	assert_true(bytes <= INPUT_BYTES);
	assert_true(ring_driver_add(&guest->receive, &segment, 1) >= 0);
	ring_driver_kick(&guest->receive);
}

/* Wait for input in the buffer offered; expect exactly `text`. */
static inline void assert_input_is(struct console_guest *guest, const char *text)
{
	uint32_t length = 0;

	assert_true(ring_driver_complete(&guest->receive, WAIT_MS, &length));
	assert_int_equal(length, strlen(text));
	assert_memory_equal(guest_ram_at(&guest->ram, guest->input), text, length);
}

#endif
