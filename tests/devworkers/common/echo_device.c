/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/devworkers/common/echo_device.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void start_worker(struct echo_device *echo)
{
	struct error err = ERROR_INIT;

	if (worker_driver_start(&echo->driver, "echo", &err) == 0)
		return;
	if (err.code == -EPERM || err.code == -EACCES) {
		print_message("skip: no sandboxed process can be started: %s\n", err.message);
		skip();
	}
	fail_msg("%s", err.message);
}

int echo_device_start(void **state)
{
	struct echo_device *echo = calloc(1, sizeof(*echo));

	assert_non_null(echo);
	*state = echo;
	start_worker(echo);
	guest_ram_init(&echo->ram, 0, ECHO_RAM_BYTES);
	for (unsigned i = 0; i < 2; i++) {
		ring_driver_init(&echo->rings[i], &echo->ram, (uint16_t)i, ECHO_RING_SIZE, true);
		echo->ring_list[i] = &echo->rings[i];
	}
	echo->request = guest_ram_allocate(&echo->ram, 4096, 4096);
	echo->answer = guest_ram_allocate(&echo->ram, 4096, 4096);
	return 0;
}

int echo_device_stop(void **state)
{
	struct echo_device *echo = *state;
	int status = worker_driver_stop(&echo->driver);

	for (unsigned i = 0; i < 2; i++)
		ring_driver_destroy(&echo->rings[i]);
	guest_ram_destroy(&echo->ram);
	free(echo);
	if (status != 0)
		print_error("the worker ended with status 0x%x\n", (unsigned)status);
	return status;
}

int echo_device_start_configured(void **state)
{
	struct echo_device *echo;
	struct error err = ERROR_INIT;

	(void)echo_device_start(state);
	echo = *state;
	if (worker_driver_configure(&echo->driver, NULL, NULL, 0, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

int echo_device_start_running(void **state)
{
	struct error err = ERROR_INIT;

	(void)echo_device_start_configured(state);
	if (echo_device_activate(*state, false, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

void echo_device_restart(struct echo_device *echo)
{
	assert_int_equal(worker_driver_stop(&echo->driver), 0);
	start_worker(echo);
}

int echo_device_activate(struct echo_device *echo, bool restored, struct error *err)
{
	const struct worker_driver_activation activation = {
		.ram = &echo->ram,
		.rings = echo->ring_list,
		.ring_count = 2,
		.restored = restored,
	};

	return worker_driver_activate(&echo->driver, &activation, NULL, err);
}

int echo_device_command(struct echo_device *echo, char command, struct error *err)
{
	Bulkhead__Worker__Update request = BULKHEAD__WORKER__UPDATE__INIT;
	uint8_t byte = (uint8_t)command;

	request.device.data = &byte;
	request.device.len = 1;
	return worker_driver_call(&echo->driver, BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_UPDATE,
				  &request.base, NULL, 0, NULL, NULL, err);
}

int echo_device_add(struct echo_device *echo, unsigned ring, const char *text)
{
	const struct ring_segment segments[] = {
		{echo->request, (uint32_t)strlen(text), false},
		{echo->answer, 4096, true},
	};

	memset(guest_ram_at(&echo->ram, echo->answer), 0, 4096);
	memcpy(guest_ram_at(&echo->ram, echo->request), text, strlen(text));
	return ring_driver_add(&echo->rings[ring], segments, 2);
}

bool echo_device_works(struct echo_device *echo, const char *text)
{
	uint32_t length = 0;

	if (echo_device_add(echo, 0, text) < 0 ||
	    !ring_driver_complete(&echo->rings[0], ECHO_WAIT_MS, &length))
		return false;
	return length == strlen(text) &&
	       memcmp(guest_ram_at(&echo->ram, echo->answer), text, length) == 0;
}

uint64_t echo_device_counter(struct echo_device *echo, const char *name)
{
	struct error err = ERROR_INIT;
	uint64_t value = 0;

	if (worker_driver_counter(&echo->driver, name, &value, &err) < 0)
		fail_msg("%s", err.message);
	return value;
}
