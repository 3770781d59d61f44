/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a real worker, good and bad, with each engine. */
#include "tests/devworkers/blk/disk_fixture.h"

static int start_read_only(void **state)
{
	return disk_set_up(state, &(const struct disk_options){.read_only = true});
}

static int start_without_flush(void **state)
{
	return disk_set_up(
		state, &(const struct disk_options){.refuse = UINT64_C(1) << VIRTIO_BLK_F_FLUSH});
}

static void read_returns_the_image(void **state)
{
	struct disk *disk = *state;

	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 5, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(disk->used_length, 4097);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(disk_data(disk)[i], disk_byte(5 * 512 + i));
	assert_int_equal(disk_counter(disk, "read_ops"), 1);
	assert_int_equal(disk_counter(disk, "read_bytes"), 4096);
}

static void read_of_uncached_data_returns_the_image(void **state)
{
	struct disk *disk = *state;

	assert_int_equal(fdatasync(disk->fd), 0);
	assert_int_equal(posix_fadvise(disk->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 100, DISK_DATA_BYTES),
			 VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < DISK_DATA_BYTES; i++)
		assert_int_equal(disk_data(disk)[i], disk_byte(100 * 512 + i));
}

static void write_reaches_the_image(void **state)
{
	struct disk *disk = *state;

	memset(disk_data(disk), 0x42, 8192);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 9, 8192), VIRTIO_BLK_S_OK);
	assert_int_equal(disk->used_length, 1);
	disk_assert_image(disk, 9 * 512, disk_data(disk), 8192);
	disk_assert_untouched(disk, 0, 9 * 512);
	disk_assert_untouched(disk, 9 * 512 + 8192, 4096);
	assert_int_equal(disk_counter(disk, "write_bytes"), 8192);
}

static void many_segments_make_one_transfer(void **state)
{
	struct disk *disk = *state;
	struct ring_segment data[DISK_QUEUE_SIZE - 2];
	unsigned count = DISK_QUEUE_SIZE - 2;

	for (unsigned i = 0; i < count; i++)
		data[i] = (struct ring_segment){disk->data_gpa + (uint64_t)i * 1024, 512, true};
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_IN, 3, data, count), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < 512; j++)
			assert_int_equal(disk_data(disk)[i * 1024 + j],
					 disk_byte((3 + i) * 512 + j));
}

static void segments_need_no_sector_borders(void **state)
{
	struct disk *disk = *state;
	const struct ring_segment data[] = {{disk->data_gpa + 1, 100, true},
					    {disk->data_gpa + 101, 1, true},
					    {disk->data_gpa + 102, 923, true}};

	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_IN, 0, data, 3), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(disk_data(disk)[1 + i], disk_byte(i));
}

static void indirect_chain_is_served(void **state)
{
	struct disk *disk = *state;
	const struct ring_segment segments[] = {{disk->header_gpa, 16, false},
						{disk->data_gpa, 512, true},
						{disk->data_gpa + 4096, 512, true},
						{disk->status_gpa, 1, true}};

	disk_write_header(disk, VIRTIO_BLK_T_IN, 2);
	assert_true(ring_driver_add_indirect(&disk->ring, segments, 4, disk->header_gpa + 1024) >=
		    0);
	assert_true(ring_driver_complete(&disk->ring, DISK_TIMEOUT_MS, &disk->used_length));
	assert_int_equal(disk_status(disk), VIRTIO_BLK_S_OK);
	assert_int_equal(disk->used_length, 1025);
	assert_int_equal(disk_data(disk)[4096], disk_byte(3 * 512));
}

static void a_full_ring_is_answered_once_each(void **state)
{
	struct disk *disk = *state;
	unsigned count = DISK_QUEUE_SIZE / 3, answered = 0;
	uint16_t head;

	for (unsigned i = 0; i < count; i++) {
		struct virtio_blk_outhdr *header =
			guest_ram_at(&disk->ram, disk->header_gpa + i * 16);
		const struct ring_segment segments[] = {
			{disk->header_gpa + i * 16, 16, false},
			{disk->data_gpa + i * 4096, 4096, i % 2 == 0},
			{disk->status_gpa + i, 1, true}};
		const struct ring_segment write_segments[] = {segments[0], segments[1],
							      segments[2]};

		header->type = i % 2 == 0 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		header->sector = (uint64_t)i * 8;
		assert_true(ring_driver_add(&disk->ring, write_segments, 3) >= 0);
	}
	(void)ring_driver_kick(&disk->ring);
	while (answered < count && ring_driver_wait(&disk->ring, DISK_TIMEOUT_MS))
		while (ring_driver_take(&disk->ring, &head, NULL))
			answered++;
	assert_int_equal(answered, count);
	assert_false(ring_driver_take(&disk->ring, &head, NULL));
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(*(uint8_t *)guest_ram_at(&disk->ram, disk->status_gpa + i),
				 VIRTIO_BLK_S_OK);
}

static void flush_succeeds(void **state)
{
	struct disk *disk = *state;

	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(disk->used_length, 1);
	assert_int_equal(disk_counter(disk, "flush_ops"), 1);
}

static void id_is_the_serial_padded_with_zeroes(void **state)
{
	struct disk *disk = *state;

	memset(disk_data(disk), 0xff, 32);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	assert_int_equal(disk->used_length, 21);
	assert_memory_equal(disk_data(disk), "serial-0123456789\0\0\0", 20);
	assert_int_equal(disk_data(disk)[20], 0xff);
}

static uint8_t run_ranges(struct disk *disk, uint32_t type,
			  const struct virtio_blk_discard_write_zeroes *ranges, unsigned count)
{
	const struct ring_segment data = {disk->data_gpa, count * (uint32_t)sizeof(*ranges), false};

	memcpy(disk_data(disk), ranges, count * sizeof(*ranges));
	return disk_run(disk, type, 0, &data, 1);
}

static void write_zeroes_clears_each_range(void **state)
{
	static const uint8_t zeroes[16384];
	struct disk *disk = *state;

	for (unsigned unmap = 0; unmap < 2; unmap++) {
		const struct virtio_blk_discard_write_zeroes ranges[] = {
			{16 + unmap * 256, 32, unmap},
			{101 + unmap * 256, 3, unmap},
			{300, 0, unmap}};
		uint64_t shift = unmap * 256 * 512;

		assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_WRITE_ZEROES, ranges, 3),
				 VIRTIO_BLK_S_OK);
		disk_assert_untouched(disk, shift, 16 * 512);
		disk_assert_image(disk, shift + 16 * 512, zeroes, 32 * 512);
		disk_assert_untouched(disk, shift + 48 * 512, 53 * 512);
		disk_assert_image(disk, shift + 101 * 512, zeroes, 3 * 512);
		disk_assert_untouched(disk, shift + 104 * 512, 512);
	}
	assert_int_equal(disk_counter(disk, "write_zeroes_ops"), 2);
}

static void discard_leaves_the_rest_alone(void **state)
{
	struct disk *disk = *state;
	const struct virtio_blk_discard_write_zeroes ranges[] = {{8, 8, 0}, {64, 16, 0}};

	assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_DISCARD, ranges, 2), VIRTIO_BLK_S_OK);
	disk_assert_untouched(disk, 0, 8 * 512);
	disk_assert_untouched(disk, 16 * 512, 48 * 512);
	disk_assert_untouched(disk, 80 * 512, 4096);
	assert_int_equal(disk_counter(disk, "discard_ops"), 1);
}

static void bad_ranges_change_nothing(void **state)
{
	struct disk *disk = *state;
	const struct virtio_blk_discard_write_zeroes unknown[] = {{0, 8, 0}, {8, 8, 2}};
	const struct virtio_blk_discard_write_zeroes outside[] = {{0, 8, 0}, {2047, 2, 0}};
	const struct virtio_blk_discard_write_zeroes unmap = {0, 8, 1};

	assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_WRITE_ZEROES, unknown, 2),
			 VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_WRITE_ZEROES, outside, 2),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_DISCARD, &unmap, 1), VIRTIO_BLK_S_UNSUPP);
	disk_assert_untouched(disk, 0, 16 * 512);
}

static void refused_requests_are_counted_and_the_disk_goes_on(void **state)
{
	struct disk *disk = *state;

	assert_int_equal(disk_transfer(disk, 99, 0, 512), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(disk->used_length, 1);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_SECURE_ERASE, 0, 512),
			 VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 2048, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, UINT64_MAX, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 100), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_counter(disk, "errors"), 5);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

static void short_header_is_an_io_error(void **state)
{
	struct disk *disk = *state;
	const struct ring_segment segments[] = {{disk->header_gpa, 12, false},
						{disk->status_gpa, 1, true}};

	disk_write_header(disk, VIRTIO_BLK_T_FLUSH, 0);
	assert_true(ring_driver_add(&disk->ring, segments, 2) >= 0);
	assert_true(ring_driver_complete(&disk->ring, DISK_TIMEOUT_MS, NULL));
	assert_int_equal(disk_status(disk), VIRTIO_BLK_S_IOERR);
}

static void request_without_status_byte_needs_a_reset(void **state)
{
	struct disk *disk = *state;
	const struct ring_segment header = {disk->header_gpa, 16, false};
	struct error err = ERROR_INIT;

	disk_write_header(disk, VIRTIO_BLK_T_FLUSH, 0);
	assert_true(ring_driver_add(&disk->ring, &header, 1) >= 0);
	(void)ring_driver_kick(&disk->ring);
	assert_true(worker_driver_wait_event(&disk->driver, &disk->driver.needs_reset_count, 1,
					     DISK_TIMEOUT_MS));
	assert_non_null(strstr(disk->driver.needs_reset_reason, "status"));
	assert_int_equal(worker_driver_reset(&disk->driver, DISK_TIMEOUT_MS, &err), 0);
	ring_driver_reset(&disk->ring);
	disk_activate(disk, 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

static void broken_ring_needs_a_reset_even_with_requests_in_flight(void **state)
{
	struct disk *disk = *state;
	const struct ring_segment segments[] = {{disk->header_gpa, 16, false},
						{disk->data_gpa, DISK_DATA_BYTES, false},
						{disk->status_gpa, 1, true}};
	struct error err = ERROR_INIT;

	disk_write_header(disk, VIRTIO_BLK_T_OUT, 0);
	assert_true(ring_driver_add(&disk->ring, segments, 3) >= 0);
	ring_driver_offer(&disk->ring, DISK_QUEUE_SIZE);
	(void)ring_driver_kick(&disk->ring);
	assert_true(worker_driver_wait_event(&disk->driver, &disk->driver.needs_reset_count, 1,
					     DISK_TIMEOUT_MS));
	assert_int_equal(worker_driver_reset(&disk->driver, DISK_TIMEOUT_MS, &err), 0);
	ring_driver_reset(&disk->ring);
	disk_activate(disk, 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

static void shrunk_image_is_an_io_error(void **state)
{
	struct disk *disk = *state;

	assert_int_equal(ftruncate(disk->fd, 8192), 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 64, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 8, 8192), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 8192), VIRTIO_BLK_S_OK);
}

static void read_only_disk_is_never_written(void **state)
{
	struct disk *disk = *state;
	const struct virtio_blk_discard_write_zeroes range = {0, 8, 0};

	assert_true(disk->driver.features & (1U << VIRTIO_BLK_F_RO));
	memset(disk_data(disk), 0x42, 512);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_DISCARD, &range, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_WRITE_ZEROES, &range, 1),
			 VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	disk_assert_untouched(disk, 0, 4096);
}

static void driver_without_flush_can_write_and_zero(void **state)
{
	static const uint8_t zeroes[4096];
	struct disk *disk = *state;
	const struct virtio_blk_discard_write_zeroes range = {0, 8, 0};

	memset(disk_data(disk), 0x42, 4096);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 8, 4096), VIRTIO_BLK_S_OK);
	disk_assert_image(disk, 4096, disk_data(disk), 4096);
	assert_int_equal(run_ranges(disk, VIRTIO_BLK_T_WRITE_ZEROES, &range, 1), VIRTIO_BLK_S_OK);
	disk_assert_image(disk, 0, zeroes, 4096);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, disk_set_up_uring, disk_tear_down),                  \
		cmocka_unit_test_setup_teardown(test, disk_set_up_threads, disk_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(read_returns_the_image),
		BOTH(read_of_uncached_data_returns_the_image),
		BOTH(write_reaches_the_image),
		BOTH(many_segments_make_one_transfer),
		BOTH(segments_need_no_sector_borders),
		BOTH(indirect_chain_is_served),
		BOTH(a_full_ring_is_answered_once_each),
		BOTH(flush_succeeds),
		BOTH(id_is_the_serial_padded_with_zeroes),
		BOTH(write_zeroes_clears_each_range),
		BOTH(discard_leaves_the_rest_alone),
		BOTH(bad_ranges_change_nothing),
		BOTH(refused_requests_are_counted_and_the_disk_goes_on),
		BOTH(short_header_is_an_io_error),
		BOTH(request_without_status_byte_needs_a_reset),
		BOTH(broken_ring_needs_a_reset_even_with_requests_in_flight),
		BOTH(shrunk_image_is_an_io_error),
		cmocka_unit_test_setup_teardown(read_only_disk_is_never_written, start_read_only,
						disk_tear_down),
		cmocka_unit_test_setup_teardown(driver_without_flush_can_write_and_zero,
						start_without_flush, disk_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
