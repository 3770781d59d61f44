/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every malformed ring and chain against one real worker: reported once with its reason, healed by
 * a reset, and the same process goes on. (What pop does with each: test_virtqueue_malformed.c.)
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/devworkers/common/echo_device.h"

#define NEXT	 VRING_DESCRIPTOR_NEXT
#define WRITE	 VRING_DESCRIPTOR_WRITE
#define INDIRECT VRING_DESCRIPTOR_INDIRECT

/* Descriptors 0 and 1 of the ring, or entries 0 and 1 of an indirect table at `request`. */
struct malformed {
	const char *reason; /* part of what NEEDS_RESET says */
	struct vring_descriptor ring[2];
	struct vring_descriptor table[2];
	uint16_t head;
	uint16_t index_jump; /* added to the available index */
};

#define BUFFER 0x80000ULL
#define TABLE  0x90000ULL

static const struct malformed cases[] = {
	{.reason = "loops", .ring = {{BUFFER, 16, NEXT, 0}}},
	{.reason = "loops", .ring = {{BUFFER, 16, NEXT, 1}, {BUFFER, 16, NEXT, 0}}},
	{.reason = "empty", .ring = {{BUFFER, 0, WRITE, 0}}},
	{.reason = "not in guest memory", .ring = {{UINT64_MAX, 16, 0, 0}}},
	{.reason = "not in guest memory", .ring = {{UINT64_MAX - 15, 16, WRITE, 0}}},
	{.reason = "not in guest memory", .ring = {{ECHO_RAM_BYTES - 8, 9, WRITE, 0}}},
	{.reason = "not in guest memory", .ring = {{ECHO_RAM_BYTES, 1, 0, 0}}},
	{.reason = "not in guest memory", .ring = {{BUFFER, UINT32_MAX, 0, 0}}},
	{.reason = "readable part after",
	 .ring = {{BUFFER, 16, NEXT | WRITE, 1}, {BUFFER, 16, 0, 0}}},
	{.reason = "next descriptor 16", .ring = {{BUFFER, 16, NEXT, 16}}},
	{.reason = "next descriptor 65535", .ring = {{BUFFER, 16, NEXT, 65535}}},
	{.reason = "head descriptor 16", .head = 16},
	{.reason = "head descriptor 65535", .head = 65535},
	{.reason = "index jumps", .head = 0, .index_jump = 16},
	{.reason = "index jumps", .head = 0, .index_jump = 32768},
	{.reason = "table of 0 bytes", .ring = {{TABLE, 0, INDIRECT, 0}}},
	{.reason = "table of 17 bytes", .ring = {{TABLE, 17, INDIRECT, 0}}},
	{.reason = "table of 272 bytes", .ring = {{TABLE, 272, INDIRECT, 0}}},
	{.reason = "with a next one", .ring = {{TABLE, 16, INDIRECT | NEXT, 1}}},
	{.reason = "not in guest memory", .ring = {{ECHO_RAM_BYTES, 16, INDIRECT, 0}}},
	{.reason = "inside an indirect table",
	 .ring = {{TABLE, 16, INDIRECT, 0}},
	 .table = {{TABLE, 16, INDIRECT, 0}}},
	{.reason = "next descriptor 2 of 2",
	 .ring = {{TABLE, 32, INDIRECT, 0}},
	 .table = {{BUFFER, 16, NEXT, 2}}},
	{.reason = "loops",
	 .ring = {{TABLE, 32, INDIRECT, 0}},
	 .table = {{BUFFER, 16, NEXT, 1}, {BUFFER, 16, NEXT, 0}}},
};

static void offer(struct echo_device *echo, const struct malformed *malformed)
{
	struct ring_driver *ring = &echo->rings[0];

	memcpy(ring->descriptors, malformed->ring, sizeof(malformed->ring));
	memcpy(guest_ram_at(&echo->ram, TABLE), malformed->table, sizeof(malformed->table));
	ring_driver_offer(ring, malformed->head);
	if (malformed->index_jump)
		ring->available[VRING_AVAILABLE_INDEX] += malformed->index_jump;
	ring_driver_kick_always(ring);
}

static void heal(struct echo_device *echo)
{
	struct error err = ERROR_INIT;

	if (worker_driver_reset(&echo->driver, 1000, &err) < 0)
		fail_msg("%s", err.message);
	for (unsigned i = 0; i < 2; i++)
		ring_driver_reset(&echo->rings[i]);
	if (echo_device_activate(echo, false, &err) < 0)
		fail_msg("%s", err.message);
}

static void each_malformed_ring_is_reported_and_healed_by_a_reset(void **state)
{
	struct echo_device *echo = *state;
	unsigned count = sizeof(cases) / sizeof(cases[0]);

	for (unsigned i = 0; i < count; i++) {
		assert_true(echo_device_works(echo, "before"));
		offer(echo, &cases[i]);
		if (!worker_driver_wait_event(&echo->driver, &echo->driver.needs_reset_count, i + 1,
					      ECHO_WAIT_MS))
			fail_msg("case %u (%s): not reported", i, cases[i].reason);
		if (!strstr(echo->driver.needs_reset_reason, cases[i].reason))
			fail_msg("case %u: \"%s\" does not say \"%s\"", i,
				 echo->driver.needs_reset_reason, cases[i].reason);
		heal(echo);
	}
	assert_true(echo_device_works(echo, "after all of them"));
	assert_int_equal(echo->driver.needs_reset_count, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			each_malformed_ring_is_reported_and_healed_by_a_reset,
			echo_device_start_running, echo_device_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
