/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed rings and chains: each is refused with its reason and breaks the queue, nothing else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/devworkers/common/virtqueue_pair.h"

#define NEXT	 VRING_DESCRIPTOR_NEXT
#define WRITE	 VRING_DESCRIPTOR_WRITE
#define INDIRECT VRING_DESCRIPTOR_INDIRECT

static void a_descriptor_that_is_its_own_next_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 3, pair->buffer, 16, NEXT, 3);
	ring_driver_offer(&pair->ring, 3);
	virtqueue_pair_expect_broken(pair, "loops");
}

static void a_loop_of_several_descriptors_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	for (uint16_t i = 0; i < PAIR_RING_SIZE; i++)
		virtqueue_pair_set(pair, i, pair->buffer, 16, NEXT,
				   (uint16_t)((i + 1) % PAIR_RING_SIZE));
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "loops");
}

static void a_chain_as_long_as_the_queue_is_taken(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(virtqueue_pair_add(pair, PAIR_RING_SIZE, 4), 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_int_equal(pair->chain.readable_count, 4);
	assert_int_equal(pair->chain.writable_count, 4);
}

static void a_chain_longer_than_the_callers_storage_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	(void)virtqueue_pair_add(pair, 4, 1);
	pair->chain.segment_capacity = 3;
	virtqueue_pair_expect_broken(pair, "longer than 3");
}

static void an_empty_buffer_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, pair->buffer, 0, 0, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "empty");
}

static void a_buffer_whose_end_overflows_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, UINT64_MAX - 7, 16, 0, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "not in guest memory");
}

static void a_buffer_outside_memory_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, 2 * PAIR_REGION_BYTES, 1, 0, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "not in guest memory");
}

static void a_buffer_that_ends_past_memory_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, 2 * PAIR_REGION_BYTES - 16, 17, WRITE, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "not in guest memory");
}

static void a_buffer_across_a_region_boundary_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, PAIR_REGION_BYTES - 8, 16, 0, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "not in guest memory");
}

static void buffers_right_up_to_a_region_boundary_are_taken(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	virtqueue_pair_set(pair, 0, PAIR_REGION_BYTES - 8, 8, NEXT, 1);
	virtqueue_pair_set(pair, 1, PAIR_REGION_BYTES, 8, WRITE, 0);
	ring_driver_offer(&pair->ring, 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_ptr_equal(pair->chain.readable[0].iov_base,
			 pair->memory.regions[0].hva + PAIR_REGION_BYTES - 8);
	assert_ptr_equal(pair->chain.writable[0].iov_base, pair->memory.regions[1].hva);
}

static void more_than_4_gib_in_one_chain_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct guest_memory_region real = pair->memory.regions[1];

	/* Pretend that a region is as large: nothing touches it. */
	pair->memory.regions[1].size_bytes = UINT64_C(1) << 40;
	for (uint16_t i = 0; i < 2; i++)
		virtqueue_pair_set(pair, i, PAIR_REGION_BYTES, 0x80000000U, i == 0 ? NEXT : 0, 1);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "4 GiB");
	pair->memory.regions[1] = real;
}

static void a_readable_part_after_a_writable_one_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, pair->buffer, 16, NEXT | WRITE, 1);
	virtqueue_pair_set(pair, 1, pair->buffer, 16, 0, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "readable part after");
}

static void a_next_descriptor_past_the_table_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, pair->buffer, 16, NEXT, PAIR_RING_SIZE);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "next descriptor 8 of 8");
}

static void a_head_past_the_table_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	ring_driver_offer(&pair->ring, PAIR_RING_SIZE);
	virtqueue_pair_expect_broken(pair, "head descriptor 8 of 8");
}

static void the_largest_head_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	ring_driver_offer(&pair->ring, UINT16_MAX);
	virtqueue_pair_expect_broken(pair, "head descriptor 65535");
}

static void a_head_that_is_in_use_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;
	int head = virtqueue_pair_add(pair, 1, 1);

	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	ring_driver_offer(&pair->ring, (uint16_t)head);
	virtqueue_pair_expect_broken(pair, "available again");
	/* What was in flight is still given back. */
	virtqueue_push(&pair->queue, (uint16_t)head, 0);
	assert_int_equal(pair->ring.used->index, 1);
}

static void an_available_index_a_queue_ahead_is_taken(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	for (unsigned i = 0; i < PAIR_RING_SIZE; i++)
		assert_true(virtqueue_pair_add(pair, 1, 1) >= 0);
	for (unsigned i = 0; i < PAIR_RING_SIZE; i++)
		assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 0);
}

static void an_available_index_further_ahead_than_the_queue_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	pair->ring.available[VRING_AVAILABLE_INDEX] = PAIR_RING_SIZE + 1;
	virtqueue_pair_expect_broken(pair, "jumps by 9");
}

static void an_available_index_that_goes_back_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	pair->ring.available[VRING_AVAILABLE_INDEX] = UINT16_MAX;
	virtqueue_pair_expect_broken(pair, "jumps by 65535");
}

static void an_indirect_descriptor_without_the_feature_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, pair->buffer, 16, INDIRECT, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "without the feature");
}

/* ---- indirect ---- */

static struct vring_descriptor *table_at(struct virtqueue_pair *pair)
{
	return guest_ram_at(&pair->ram, pair->buffer + 15 * 4096);
}

static void offer_table(struct virtqueue_pair *pair, uint32_t bytes, uint16_t flags)
{
	virtqueue_pair_set(pair, 0, pair->buffer + 15 * 4096, bytes, flags, 1);
	ring_driver_offer(&pair->ring, 0);
}

static void an_indirect_chain_is_taken(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	table_at(pair)[0] = (struct vring_descriptor){pair->buffer, 16, NEXT, 2};
	table_at(pair)[2] = (struct vring_descriptor){pair->buffer + 4096, 32, WRITE, 0};
	offer_table(pair, 48, INDIRECT);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_int_equal(pair->chain.readable_bytes, 16);
	assert_int_equal(pair->chain.writable_bytes, 32);
	assert_int_equal(pair->chain.head, 0);
}

static void direct_descriptors_may_precede_the_table(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	table_at(pair)[0] = (struct vring_descriptor){pair->buffer, 16, WRITE, 0};
	virtqueue_pair_set(pair, 0, pair->buffer, 8, NEXT, 1);
	virtqueue_pair_set(pair, 1, pair->buffer + 15 * 4096, 16, INDIRECT, 0);
	ring_driver_offer(&pair->ring, 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_int_equal(pair->chain.readable_count, 1);
	assert_int_equal(pair->chain.writable_count, 1);
}

/* virtio 1.2, 2.7.5.3.2: the device ignores it. */
static void the_write_flag_of_an_indirect_descriptor_is_ignored(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct error err = ERROR_INIT;

	table_at(pair)[0] = (struct vring_descriptor){pair->buffer, 16, 0, 0};
	offer_table(pair, 16, INDIRECT | WRITE);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
	assert_int_equal(pair->chain.readable_count, 1);
}

static void an_unaligned_table_is_taken(void **state)
{
	struct virtqueue_pair *pair = *state;
	struct vring_descriptor entry = {pair->buffer, 16, 0, 0};
	struct error err = ERROR_INIT;

	memcpy((uint8_t *)table_at(pair) + 1, &entry, sizeof(entry));
	virtqueue_pair_set(pair, 0, pair->buffer + 15 * 4096 + 1, 16, INDIRECT, 0);
	ring_driver_offer(&pair->ring, 0);
	assert_int_equal(virtqueue_pop(&pair->queue, &pair->chain, &err), 1);
}

static void a_table_inside_a_table_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	table_at(pair)[0] = (struct vring_descriptor){pair->buffer + 15 * 4096, 16, INDIRECT, 0};
	offer_table(pair, 16, INDIRECT);
	virtqueue_pair_expect_broken(pair, "inside an indirect table");
}

static void a_table_with_a_next_descriptor_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	table_at(pair)[0] = (struct vring_descriptor){pair->buffer, 16, 0, 0};
	offer_table(pair, 16, INDIRECT | NEXT);
	virtqueue_pair_expect_broken(pair, "with a next one");
}

static void an_empty_table_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	offer_table(pair, 0, INDIRECT);
	virtqueue_pair_expect_broken(pair, "table of 0 bytes");
}

static void a_table_that_is_no_multiple_of_16_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	offer_table(pair, 40, INDIRECT);
	virtqueue_pair_expect_broken(pair, "table of 40 bytes");
}

static void a_table_with_more_entries_than_the_queue_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	offer_table(pair, 16 * (PAIR_RING_SIZE + 1), INDIRECT);
	virtqueue_pair_expect_broken(pair, "table of 144 bytes");
}

static void a_table_of_nearly_4_gib_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	offer_table(pair, 0xfffffff0U, INDIRECT);
	virtqueue_pair_expect_broken(pair, "table of 4294967280 bytes");
}

static void a_table_outside_memory_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, 2 * PAIR_REGION_BYTES, 16, INDIRECT, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "not in guest memory");
}

static void a_table_across_a_region_boundary_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	virtqueue_pair_set(pair, 0, PAIR_REGION_BYTES - 16, 32, INDIRECT, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "not in guest memory");
}

static void a_next_past_the_indirect_table_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	table_at(pair)[0] = (struct vring_descriptor){pair->buffer, 16, NEXT, 1};
	offer_table(pair, 16, INDIRECT);
	virtqueue_pair_expect_broken(pair, "next descriptor 1 of 1");
}

static void a_loop_in_an_indirect_table_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	table_at(pair)[0] = (struct vring_descriptor){pair->buffer, 16, NEXT, 1};
	table_at(pair)[1] = (struct vring_descriptor){pair->buffer, 16, NEXT, 0};
	offer_table(pair, 32, INDIRECT);
	virtqueue_pair_expect_broken(pair, "loops");
}

static void a_chain_longer_than_the_queue_through_a_table_is_refused(void **state)
{
	struct virtqueue_pair *pair = *state;

	for (uint16_t i = 0; i < PAIR_RING_SIZE; i++)
		table_at(pair)[i] = (struct vring_descriptor){
			pair->buffer, 16, i + 1 < PAIR_RING_SIZE ? NEXT : 0, (uint16_t)(i + 1)};
	virtqueue_pair_set(pair, 0, pair->buffer, 8, NEXT, 1);
	virtqueue_pair_set(pair, 1, pair->buffer + 15 * 4096, 16 * PAIR_RING_SIZE, INDIRECT, 0);
	ring_driver_offer(&pair->ring, 0);
	virtqueue_pair_expect_broken(pair, "longer than 8");
}

#define PLAIN(test)                                                                                \
	cmocka_unit_test_setup_teardown(test, virtqueue_pair_init_plain, virtqueue_pair_destroy)
#define INDIRECT_TEST(test)                                                                        \
	cmocka_unit_test_setup_teardown(test, virtqueue_pair_init_indirect, virtqueue_pair_destroy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(a_descriptor_that_is_its_own_next_is_refused),
		PLAIN(a_loop_of_several_descriptors_is_refused),
		PLAIN(a_chain_as_long_as_the_queue_is_taken),
		PLAIN(a_chain_longer_than_the_callers_storage_is_refused),
		PLAIN(an_empty_buffer_is_refused),
		PLAIN(a_buffer_whose_end_overflows_is_refused),
		PLAIN(a_buffer_outside_memory_is_refused),
		PLAIN(a_buffer_that_ends_past_memory_is_refused),
		PLAIN(a_buffer_across_a_region_boundary_is_refused),
		PLAIN(buffers_right_up_to_a_region_boundary_are_taken),
		PLAIN(more_than_4_gib_in_one_chain_is_refused),
		PLAIN(a_readable_part_after_a_writable_one_is_refused),
		PLAIN(a_next_descriptor_past_the_table_is_refused),
		PLAIN(a_head_past_the_table_is_refused),
		PLAIN(the_largest_head_is_refused),
		PLAIN(a_head_that_is_in_use_is_refused),
		PLAIN(an_available_index_a_queue_ahead_is_taken),
		PLAIN(an_available_index_further_ahead_than_the_queue_is_refused),
		PLAIN(an_available_index_that_goes_back_is_refused),
		PLAIN(an_indirect_descriptor_without_the_feature_is_refused),
		INDIRECT_TEST(an_indirect_chain_is_taken),
		INDIRECT_TEST(direct_descriptors_may_precede_the_table),
		INDIRECT_TEST(the_write_flag_of_an_indirect_descriptor_is_ignored),
		INDIRECT_TEST(an_unaligned_table_is_taken),
		INDIRECT_TEST(a_table_inside_a_table_is_refused),
		INDIRECT_TEST(a_table_with_a_next_descriptor_is_refused),
		INDIRECT_TEST(an_empty_table_is_refused),
		INDIRECT_TEST(a_table_that_is_no_multiple_of_16_is_refused),
		INDIRECT_TEST(a_table_with_more_entries_than_the_queue_is_refused),
		INDIRECT_TEST(a_table_of_nearly_4_gib_is_refused),
		INDIRECT_TEST(a_table_outside_memory_is_refused),
		INDIRECT_TEST(a_table_across_a_region_boundary_is_refused),
		INDIRECT_TEST(a_next_past_the_indirect_table_is_refused),
		INDIRECT_TEST(a_loop_in_an_indirect_table_is_refused),
		INDIRECT_TEST(a_chain_longer_than_the_queue_through_a_table_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
