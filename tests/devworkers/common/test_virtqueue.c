/* SPDX-License-Identifier: Apache-2.0 */
/* The virtqueue with an honest driver: start, order, notification, dirty log. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/devworkers/common/virtqueue_pair.h"

/* ---- start ---- */

static void sizes_that_are_no_power_of_two_from_2_to_1024_are_refused(void **state)
{
	static const uint16_t bad[] = {0, 1, 3, 6, 1023, 2048, 32768, 65535};
	struct virtqueue_pair *pair = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pair->config.size = bad[i];
		assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
	}
	pair->config.size = 2;
	assert_int_equal(virtqueue_pair_start(pair, NULL), 0);
	pair->config.size = 1024;
	pair->config.descriptor_area = pair->config.driver_area = pair->config.device_area =
		PAIR_REGION_BYTES;
	assert_int_equal(virtqueue_pair_start(pair, NULL), 0);
}

static void misaligned_rings_are_refused(void **state)
{
	struct virtqueue_pair *pair = *state;
	const struct virtqueue_config good = pair->config;

	pair->config.descriptor_area += 8;
	assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
	pair->config = good;
	pair->config.driver_area += 1;
	assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
	pair->config = good;
	pair->config.device_area += 2;
	assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
}

static void rings_outside_memory_are_refused(void **state)
{
	static const uint64_t bad[] = {2 * PAIR_REGION_BYTES, UINT64_C(1) << 40, UINT64_MAX - 15};
	struct virtqueue_pair *pair = *state;
	const struct virtqueue_config good = pair->config;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pair->config = good;
		pair->config.descriptor_area = bad[i];
		assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
		pair->config = good;
		pair->config.driver_area = bad[i];
		assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
		pair->config = good;
		pair->config.device_area = bad[i];
		assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
	}
}

static void rings_that_end_past_memory_or_cross_a_boundary_are_refused(void **state)
{
	static const uint64_t ends[] = {PAIR_REGION_BYTES, 2 * PAIR_REGION_BYTES};
	struct virtqueue_pair *pair = *state;
	const struct virtqueue_config good = pair->config;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		pair->config = good;
		pair->config.descriptor_area = ends[i] - 16 * (PAIR_RING_SIZE - 1);
		assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
		pair->config = good;
		pair->config.driver_area = ends[i] - 20; /* the event index is outside */
		assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
		pair->config = good;
		pair->config.device_area = ends[i] - 68;
		assert_int_equal(virtqueue_pair_start(pair, NULL), -EINVAL);
	}
}

static void rings_at_the_very_end_of_memory_are_taken(void **state)
{
	struct virtqueue_pair *pair = *state;

	pair->config.descriptor_area = 2 * PAIR_REGION_BYTES - 16 * PAIR_RING_SIZE;
	assert_int_equal(virtqueue_pair_start(pair, NULL), 0);
}

static void a_zeroed_queue_can_be_stopped_without_closing_descriptor_0(void **state)
{
	struct virtqueue queue = {0};

	(void)state;
	virtqueue_stop(&queue);
	virtqueue_stop(&queue);
	assert_true(dup2(0, 0) == 0);
}

/* ---- popping and pushing ---- */

static void chains_come_in_the_order_of_the_available_ring(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	int heads[3];

	for (unsigned i = 0; i < 3; i++)
		heads[i] = virtqueue_pair_add(pair, 2, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
		assert_int_equal(pair->chain.head, heads[i]);
	}
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 0);
	assert_int_equal(pair->queue.in_flight, 3);
}

static void completions_may_come_in_another_order(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	uint16_t first, second, head;
	uint32_t length;

	(void)virtqueue_pair_add(pair, 2, 1);
	(void)virtqueue_pair_add(pair, 2, 1);
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	first = pair->chain.head;
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	second = pair->chain.head;
	virtqueue_push(&pair->queue, second, 7);
	virtqueue_push(&pair->queue, first, 9);
	assert_true(ring_driver_take(&pair->ring, &head, &length));
	assert_int_equal(head, second);
	assert_int_equal(length, 7);
	assert_true(ring_driver_take(&pair->ring, &head, &length));
	assert_int_equal(head, first);
	assert_int_equal(pair->queue.in_flight, 0);
}

static void indices_wrap_at_65536(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	uint16_t head;

	for (unsigned i = 0; i < 70000; i++) {
		int added = virtqueue_pair_add(pair, 1, 1);

		if (added < 0 || virtqueue_pop(&pair->queue, &pair->chain, &err) != 1 ||
		    pair->chain.head != added)
			fail_msg("round %u: %s", i, err.message);
		virtqueue_push(&pair->queue, pair->chain.head, 1);
		if (!ring_driver_take(&pair->ring, &head, NULL))
			fail_msg("round %u: nothing used", i);
	}
	assert_int_equal(pair->queue.next_used, 70000 % 65536);
}

static void deferred_completions_are_seen_only_when_published(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	(void)virtqueue_pair_add(pair, 1, 1);
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	virtqueue_push_deferred(&pair->queue, pair->chain.head, 1);
	assert_int_equal(pair->ring.used->index, 0);
	virtqueue_publish(&pair->queue);
	assert_int_equal(pair->ring.used->index, 1);
}

static void notify_publishes_what_was_deferred(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	(void)virtqueue_pair_add(pair, 1, 1);
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	virtqueue_push_deferred(&pair->queue, pair->chain.head, 1);
	virtqueue_notify(&pair->queue);
	assert_int_equal(pair->ring.used->index, 1);
	assert_true(ring_driver_was_called(&pair->ring));
}

/* A hostile driver offers a head again before it saw it used. */
static void any_number_of_completions_may_be_deferred(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	virtqueue_pair_set(pair, 0, pair->buffer, 16, 0, 0);
	for (unsigned i = 0; i < 5000; i++) {
		ring_driver_offer(&pair->ring, 0);
		assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
		virtqueue_push_deferred(&pair->queue, 0, 0);
	}
	virtqueue_publish(&pair->queue);
	assert_int_equal(pair->ring.used->index, 5000);
}

static void an_unpopped_chain_comes_again(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	uint16_t first, second;

	(void)virtqueue_pair_add(pair, 1, 1);
	(void)virtqueue_pair_add(pair, 1, 1);
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	first = pair->chain.head;
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	second = pair->chain.head;
	virtqueue_unpop(&pair->queue, second);
	virtqueue_unpop(&pair->queue, first);
	assert_int_equal(pair->queue.in_flight, 0);
	assert_int_equal(pair->queue.next_available, pair->queue.next_used);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_int_equal(pair->chain.head, first);
}

static void segments_are_copied_from_any_offset(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	char text[64] = {0};

	memcpy(guest_ram_at(&pair->ram, pair->buffer), "0123456789abcdef", 16);
	memcpy(guest_ram_at(&pair->ram, pair->buffer + 4096), "ghijklmnopqrstuv", 16);
	(void)virtqueue_pair_add(pair, 4, 2);
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	assert_int_equal(virtqueue_iov_read(pair->chain.readable, 2, 12, text, 8), 8);
	assert_string_equal(text, "cdefghij");
	assert_int_equal(virtqueue_iov_read(pair->chain.readable, 2, 30, text, 8), 2);
	assert_int_equal(virtqueue_iov_read(pair->chain.readable, 2, 99, text, 8), 0);
	assert_int_equal(virtqueue_iov_write(pair->chain.writable, 2, 15, "XYZ", 3), 3);
	assert_memory_equal(guest_ram_at(&pair->ram, pair->buffer + 3 * 4096), "YZ", 2);
	assert_int_equal(virtqueue_iov_write(pair->chain.writable, 2, 31, "XYZ", 3), 1);
}

/* ---- notification ---- */

static void complete_one(struct virtqueue_pair *pair)
{
	struct error err = ERROR_INIT;

	assert_true(virtqueue_pair_add(pair, 1, 1) >= 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	virtqueue_push(&pair->queue, pair->chain.head, 0);
	virtqueue_notify(&pair->queue);
}

static void the_driver_is_called_unless_it_asks_not_to_be(void **state)
{
	struct virtqueue_pair *pair = *state;

	complete_one(pair);
	assert_true(ring_driver_was_called(&pair->ring));
	pair->ring.available[VRING_AVAILABLE_FLAGS] = VRING_AVAILABLE_NO_INTERRUPT;
	complete_one(pair);
	assert_false(ring_driver_was_called(&pair->ring));
	virtqueue_notify_always(&pair->queue);
	assert_true(ring_driver_was_called(&pair->ring));
}

static void nothing_new_is_no_reason_to_call(void **state)
{
	struct virtqueue_pair *pair = *state;

	complete_one(pair);
	assert_true(ring_driver_was_called(&pair->ring));
	virtqueue_notify(&pair->queue);
	assert_false(ring_driver_was_called(&pair->ring));
}

static void with_event_idx_the_driver_is_called_at_its_event_only(void **state)
{
	struct virtqueue_pair *pair = *state;
	uint16_t *event = &pair->ring.available[VRING_AVAILABLE_RING + PAIR_RING_SIZE];

	complete_one(pair); /* the first after start always */
	assert_true(ring_driver_was_called(&pair->ring));
	*event = 3;
	complete_one(pair);
	complete_one(pair);
	assert_false(ring_driver_was_called(&pair->ring));
	complete_one(pair); /* used index 4 passes event 3 */
	assert_true(ring_driver_was_called(&pair->ring));
	complete_one(pair);
	assert_false(ring_driver_was_called(&pair->ring));
}

static void kicks_are_suppressed_while_the_queue_is_worked_on(void **state)
{
	struct virtqueue_pair *pair = *state;

	assert_false(virtqueue_enable_kicks(&pair->queue, false));
	(void)virtqueue_pair_add(pair, 1, 1);
	assert_false(ring_driver_kick(&pair->ring));
	/* What came meanwhile is not lost. */
	assert_true(virtqueue_enable_kicks(&pair->queue, true));
	assert_true(ring_driver_kick(&pair->ring));
}

static void with_event_idx_kicks_come_for_the_next_new_entry_only(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	assert_false(virtqueue_enable_kicks(&pair->queue, true));
	(void)virtqueue_pair_add(pair, 1, 1);
	assert_true(ring_driver_kick(&pair->ring));
	(void)virtqueue_pair_add(pair, 1, 1);
	assert_false(ring_driver_kick(&pair->ring));
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_true(virtqueue_enable_kicks(&pair->queue, true));
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_false(virtqueue_enable_kicks(&pair->queue, true));
	(void)virtqueue_pair_add(pair, 1, 1);
	assert_true(ring_driver_kick(&pair->ring));
}

/* ---- dirty log ---- */

static bool is_dirty(const struct virtqueue_pair *pair, uint64_t gpa)
{
	return pair->memory.dirty_bitmap[gpa / 4096 / 64] >> (gpa / 4096 % 64) & 1;
}

static void only_written_pages_and_the_used_ring_become_dirty(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	int fd = guest_ram_log_file(guest_memory_dirty_log_bytes(&pair->memory));

	assert_int_equal(guest_memory_dirty_log_start(&pair->memory, fd, &err), 0);
	close(fd);
	(void)virtqueue_pair_add(pair, 4, 2);
	(void)virtqueue_pop(&pair->queue, &pair->chain, &err);
	virtqueue_chain_mark_dirty(&pair->queue, &pair->chain, 16);
	virtqueue_push(&pair->queue, pair->chain.head, 16);
	assert_true(is_dirty(pair, pair->ring.device_area));
	assert_false(is_dirty(pair, pair->ring.driver_area));
	assert_false(is_dirty(pair, pair->buffer));
	assert_false(is_dirty(pair, pair->buffer + 4096));
	assert_true(is_dirty(pair, pair->buffer + 2 * 4096));
	assert_false(is_dirty(pair, pair->buffer + 3 * 4096));
}

static void the_event_index_makes_the_used_ring_dirty(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	int fd = guest_ram_log_file(guest_memory_dirty_log_bytes(&pair->memory));

	assert_int_equal(guest_memory_dirty_log_start(&pair->memory, fd, &err), 0);
	close(fd);
	(void)virtqueue_enable_kicks(&pair->queue, true);
	assert_true(is_dirty(pair, pair->ring.device_area));
}

#define STOPPED(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, virtqueue_pair_init, virtqueue_pair_destroy)
#define PLAIN(test)                                                                                \
	cmocka_unit_test_setup_teardown(test, virtqueue_pair_init_plain, virtqueue_pair_destroy)
#define EVENT_IDX(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, virtqueue_pair_init_event_idx, virtqueue_pair_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STOPPED(sizes_that_are_no_power_of_two_from_2_to_1024_are_refused),
		STOPPED(misaligned_rings_are_refused),
		STOPPED(rings_outside_memory_are_refused),
		STOPPED(rings_that_end_past_memory_or_cross_a_boundary_are_refused),
		STOPPED(rings_at_the_very_end_of_memory_are_taken),
		cmocka_unit_test(a_zeroed_queue_can_be_stopped_without_closing_descriptor_0),
		PLAIN(chains_come_in_the_order_of_the_available_ring),
		PLAIN(completions_may_come_in_another_order),
		PLAIN(indices_wrap_at_65536),
		PLAIN(deferred_completions_are_seen_only_when_published),
		PLAIN(notify_publishes_what_was_deferred),
		PLAIN(any_number_of_completions_may_be_deferred),
		PLAIN(an_unpopped_chain_comes_again),
		PLAIN(segments_are_copied_from_any_offset),
		PLAIN(the_driver_is_called_unless_it_asks_not_to_be),
		PLAIN(nothing_new_is_no_reason_to_call),
		EVENT_IDX(with_event_idx_the_driver_is_called_at_its_event_only),
		PLAIN(kicks_are_suppressed_while_the_queue_is_worked_on),
		EVENT_IDX(with_event_idx_kicks_come_for_the_next_new_entry_only),
		PLAIN(only_written_pages_and_the_used_ring_become_dirty),
		EVENT_IDX(the_event_index_makes_the_used_ring_dirty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
