/* SPDX-License-Identifier: Apache-2.0 */
/* SAVE_STATE and CONFIGURE with a saved state, good and hostile, with a real worker. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devworkers/common/state_file.h"
#include "tests/devworkers/common/echo_device.h"

#define MESSAGE(name) BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_##name

struct blob {
	uint8_t *bytes;
	size_t length;
};

static struct blob save(struct echo_device *echo)
{
	struct blob blob = {NULL, 0};
	struct error err = ERROR_INIT;

	if (worker_driver_quiesce(&echo->driver, 1000, &err) < 0 ||
	    worker_driver_save_state(&echo->driver, &blob.bytes, &blob.length, &err) < 0)
		fail_msg("%s", err.message);
	return blob;
}

/* A new process gets the blob; the old one ends. */
static int restore(struct echo_device *echo, const struct blob *blob, struct error *err)
{
	echo_device_restart(echo);
	return worker_driver_configure_saved(&echo->driver, NULL, NULL, 0, blob->bytes,
					     blob->length, err);
}

static void a_restored_device_goes_on_where_it_stood(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	struct blob blob;

	for (unsigned i = 0; i < 40; i++)
		assert_true(echo_device_works(echo, "before"));
	blob = save(echo);
	assert_int_equal(restore(echo, &blob, &err), 0);
	assert_int_equal(echo_device_activate(echo, true, &err), 0);
	for (unsigned i = 0; i < 40; i++)
		assert_true(echo_device_works(echo, "after"));
	free(blob.bytes);
}

static void a_device_that_was_not_active_is_restored_so(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	struct blob blob = save(echo);

	assert_int_equal(restore(echo, &blob, &err), 0);
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(echo_device_works(echo, "fresh"));
	free(blob.bytes);
}

static void state_larger_than_a_packet_travels_in_a_file(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	struct blob blob;

	assert_int_equal(echo_device_command(echo, 'b', &err), 0);
	blob = save(echo);
	assert_true(blob.length > 100 << 10);
	assert_int_equal(restore(echo, &blob, &err), 0);
	assert_int_equal(echo_device_activate(echo, true, &err), 0);
	assert_true(echo_device_works(echo, "large"));
	free(blob.bytes);
	blob = save(echo);
	assert_true(blob.length > 100 << 10);
	free(blob.bytes);
}

static void a_device_that_needed_a_reset_still_does_when_restored(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	struct blob blob;

	ring_driver_offer(&echo->rings[0], 999);
	ring_driver_kick_always(&echo->rings[0]);
	assert_true(worker_driver_wait_event(&echo->driver, &echo->driver.needs_reset_count, 1,
					     ECHO_WAIT_MS));
	blob = save(echo);
	assert_int_equal(restore(echo, &blob, &err), 0);
	assert_int_equal(echo_device_activate(echo, true, &err), 0);
	assert_true(worker_driver_wait_event(&echo->driver, &echo->driver.needs_reset_count, 1,
					     ECHO_WAIT_MS));
	free(blob.bytes);
}

/* ---- hostile blobs: each change alone makes a good one bad ---- */

static void flip_version(Bulkhead__Worker__SavedState *saved)
{
	saved->version = 2;
}

static void clear_version(Bulkhead__Worker__SavedState *saved)
{
	saved->version = 0;
}

static void swap_kind(Bulkhead__Worker__SavedState *saved)
{
	saved->kind[0] = 'E';
}

static void add_feature(Bulkhead__Worker__SavedState *saved)
{
	saved->features |= UINT64_C(1) << 63;
}

static void deny_activity(Bulkhead__Worker__SavedState *saved)
{
	saved->active = false;
}

static void repeat_queue(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[1]->index = 0;
}

static void invent_queue(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[1]->index = UINT32_MAX;
}

static void enlarge_queue(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[0]->size = 128;
}

static void bend_queue(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[0]->size = 12;
}

static void empty_queue(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[0]->size = 0;
}

static void leave_in_flight(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[0]->next_available++;
}

static void use_unpopped(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[0]->next_used++;
}

static void overflow_index(Bulkhead__Worker__SavedState *saved)
{
	saved->queues[0]->next_available += 65536;
	saved->queues[0]->next_used += 65536;
}

static void foreign_device_part(Bulkhead__Worker__SavedState *saved)
{
	static uint8_t bad[] = "bad";

	saved->device.data = bad;
	saved->device.len = sizeof(bad);
}

static const struct {
	void (*change)(Bulkhead__Worker__SavedState *saved);
	const char *text;
} changes[] = {
	{flip_version, "version 2"},   {clear_version, "version 0"},
	{swap_kind, "kind"},	       {add_feature, "features"},
	{deny_activity, "not active"}, {repeat_queue, "twice"},
	{invent_queue, "saved queue"}, {enlarge_queue, "size 128"},
	{bend_queue, "size 12"},       {empty_queue, "size 0"},
	{leave_in_flight, "indices"},  {use_unpopped, "indices"},
	{overflow_index, "indices"},   {foreign_device_part, "bad state"},
};

static void expect_refused(struct echo_device *echo, const struct blob *blob, const char *text)
{
	struct error err = ERROR_INIT;

	assert_int_equal(restore(echo, blob, &err), -EINVAL);
	if (!strstr(err.message, text))
		fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

static void saved_states_with_a_lie_are_refused_by_name(void **state)
{
	struct echo_device *echo = *state;
	struct blob good;

	assert_true(echo_device_works(echo, "one"));
	good = save(echo);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		Bulkhead__Worker__SavedState *saved =
			bulkhead__worker__saved_state__unpack(NULL, good.length, good.bytes);
		struct blob bad;

		assert_non_null(saved);
		changes[i].change(saved);
		bad.bytes = malloc(bulkhead__worker__saved_state__get_packed_size(saved));
		bad.length = bulkhead__worker__saved_state__pack(saved, bad.bytes);
		saved->device = (ProtobufCBinaryData){0, NULL};
		bulkhead__worker__saved_state__free_unpacked(saved, NULL);
		expect_refused(echo, &bad, changes[i].text);
		free(bad.bytes);
	}
	free(good.bytes);
}

static void truncated_states_never_crash_the_worker(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	struct blob blob;

	assert_true(echo_device_works(echo, "one"));
	blob = save(echo);
	for (size_t length = 1; length < blob.length; length += 3) {
		struct blob cut = {blob.bytes, length};

		/* Cut between two fields it is a state with less in it; the rest is refused. */
		if (restore(echo, &cut, &err) != 0)
			assert_int_equal(err.code, -EINVAL);
	}
	free(blob.bytes);
}

static void rings_elsewhere_than_saved_are_refused(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	struct blob blob;

	assert_true(echo_device_works(echo, "one"));
	blob = save(echo);
	assert_int_equal(restore(echo, &blob, &err), 0);
	echo->rings[0].device_area += 4096;
	assert_int_equal(echo_device_activate(echo, true, &err), -EINVAL);
	echo->rings[0].device_area -= 4096;
	echo->rings[0].size = 8;
	assert_int_equal(echo_device_activate(echo, true, &err), -EINVAL);
	echo->rings[0].size = ECHO_RING_SIZE;
	assert_int_equal(echo_device_activate(echo, true, &err), 0);
	assert_true(echo_device_works(echo, "two"));
	free(blob.bytes);
}

static void an_available_index_that_does_not_fit_the_saved_one_is_refused(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	struct blob blob;

	assert_true(echo_device_works(echo, "one"));
	blob = save(echo);
	assert_int_equal(restore(echo, &blob, &err), 0);
	echo->rings[0].available[VRING_AVAILABLE_INDEX] = 0; /* behind */
	assert_int_equal(echo_device_activate(echo, true, &err), -EINVAL);
	assert_non_null(strstr(err.message, "available index"));
	free(blob.bytes);
}

static void a_restored_queue_without_a_saved_state_is_refused(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(echo_device_activate(echo, true, &err), -EINVAL);
	assert_non_null(strstr(err.message, "not in the saved state"));
}

static void a_state_file_that_could_still_change_is_refused(void **state)
{
	struct echo_device *echo = *state;
	Bulkhead__Worker__Configure body;
	struct error err = ERROR_INIT;
	int fd = guest_ram_log_file(4096); /* sealed, but not against writing */

	bulkhead__worker__configure__init(&body);
	body.saved_state_by_fd = true;
	assert_int_equal(worker_driver_call(&echo->driver, MESSAGE(CONFIGURE), &body.base, &fd, 1,
					    NULL, NULL, &err),
			 -EINVAL);
	assert_non_null(strstr(err.message, "not a sealed memory file"));
	close(fd);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, echo_device_start, echo_device_stop)
#define CONFIGURED(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, echo_device_start_configured, echo_device_stop)
#define RUNNING(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, echo_device_start_running, echo_device_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNNING(a_restored_device_goes_on_where_it_stood),
		CONFIGURED(a_device_that_was_not_active_is_restored_so),
		RUNNING(state_larger_than_a_packet_travels_in_a_file),
		RUNNING(a_device_that_needed_a_reset_still_does_when_restored),
		RUNNING(saved_states_with_a_lie_are_refused_by_name),
		RUNNING(truncated_states_never_crash_the_worker),
		RUNNING(rings_elsewhere_than_saved_are_refused),
		RUNNING(an_available_index_that_does_not_fit_the_saved_one_is_refused),
		CONFIGURED(a_restored_queue_without_a_saved_state_is_refused),
		FRESH(a_state_file_that_could_still_change_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
