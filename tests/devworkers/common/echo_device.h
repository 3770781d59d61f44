/* SPDX-License-Identifier: Apache-2.0 */
/* The test device (tests/devworkers/echo/) with memory and two rings, ready to be used. */
#ifndef BULKHEAD_TESTS_DEVWORKERS_COMMON_ECHO_DEVICE_H
#define BULKHEAD_TESTS_DEVWORKERS_COMMON_ECHO_DEVICE_H

#include "tests/devworkers/common/worker_driver.h"

#define ECHO_RAM_BYTES	   (1U << 20)
#define ECHO_RING_SIZE	   16
#define ECHO_WAIT_MS	   5000U
#define ECHO_NOT_WITHIN_MS 100U /* long enough to notice what must not happen */

struct echo_device {
	struct worker_driver driver;
	struct guest_ram ram;
	struct ring_driver rings[2];
	struct ring_driver *ring_list[2];
	uint64_t request, answer; /* gpa of a page each */
};

/* Started, not configured. cmocka setup and teardown functions; *state is the device. Skips the
 * test, with the reason, where no sandboxed process can be started. */
int echo_device_start(void **state);
int echo_device_stop(void **state); /* fails when the worker did not end cleanly by itself */

/* Setup that also configures, or configures and activates. */
int echo_device_start_configured(void **state);
int echo_device_start_running(void **state);

/* Stop it and start another process on the same memory and rings. */
void echo_device_restart(struct echo_device *echo);

/* ACTIVATE with all features. */
int echo_device_activate(struct echo_device *echo, bool restored, struct error *err);

/* One byte of UPDATE (tests/devworkers/echo/main.c). */
int echo_device_command(struct echo_device *echo, char command, struct error *err);

/* Make a request of one readable and one writable segment available on a ring. */
int echo_device_add(struct echo_device *echo, unsigned ring, const char *text);

/* Send "text", expect it back within the deadline. */
bool echo_device_works(struct echo_device *echo, const char *text);

uint64_t echo_device_counter(struct echo_device *echo, const char *name);

#endif
