/* SPDX-License-Identifier: Apache-2.0 */
/* A real worker on an image opened with O_DIRECT: whatever the guest's buffers look like. */
#include "tests/devworkers/blk/disk_fixture.h"

static int start(void **state, bool threads)
{
	static struct disk disk;
	const struct disk_options options = {.direct = true, .threads = threads};

	*state = &disk;
	disk_start(&disk, &options);
	return 0;
}

/* cmocka cannot skip from a setup function. */
static int start_uring(void **state)
{
	int probe = temporary_image(4096, O_DIRECT);

	*state = NULL;
	if (probe < 0)
		return 0;
	close(probe);
	return start(state, false);
}

static int start_threads(void **state)
{
	int probe = temporary_image(4096, O_DIRECT);

	*state = NULL;
	if (probe < 0)
		return 0;
	close(probe);
	return start(state, true);
}

static int stop(void **state)
{
	if (*state)
		disk_stop(*state);
	return 0;
}

static struct disk *disk_of(void **state)
{
	if (!*state) {
		print_message("skip: no direct I/O in %s\n", temporary_folder());
		skip();
	}
	return *state;
}

static void aligned_buffers_go_straight_through(void **state)
{
	struct disk *disk = disk_of(state);

	memset(disk_data(disk), 0x42, 65536);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 128, 65536), VIRTIO_BLK_S_OK);
	disk_assert_image(disk, 65536, disk_data(disk), 65536);
	memset(disk_data(disk), 0, 65536);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 64, 65536), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 32768; i++)
		assert_int_equal(disk_data(disk)[i], disk_byte(32768 + i));
	assert_int_equal(disk_data(disk)[32768], 0x42);
}

static void unaligned_read_arrives(void **state)
{
	struct disk *disk = disk_of(state);
	const struct ring_segment data[] = {{disk->data_gpa + 1, 511, true},
					    {disk->data_gpa + 5000, 1, true},
					    {disk->data_gpa + 8195, 4096 - 512, true}};

	memset(disk_data(disk), 0, 16384);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_IN, 3, data, 3), VIRTIO_BLK_S_OK);
	assert_int_equal(disk->used_length, 4097);
	for (unsigned i = 0; i < 511; i++)
		assert_int_equal(disk_data(disk)[1 + i], disk_byte(3 * 512 + i));
	assert_int_equal(disk_data(disk)[5000], disk_byte(3 * 512 + 511));
	for (unsigned i = 0; i < 4096 - 512; i++)
		assert_int_equal(disk_data(disk)[8195 + i], disk_byte(4 * 512 + i));
	assert_int_equal(disk_data(disk)[0], 0);
	assert_int_equal(disk_data(disk)[512], 0);
}

static void unaligned_write_changes_only_its_sectors(void **state)
{
	struct disk *disk = disk_of(state);
	const struct ring_segment data = {disk->data_gpa + 3, 3 * 512, false};

	memset(disk_data(disk), 0x42, 4096);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_OUT, 5, &data, 1), VIRTIO_BLK_S_OK);
	disk_assert_untouched(disk, 0, 5 * 512);
	disk_assert_image(disk, 5 * 512, disk_data(disk), 3 * 512);
	disk_assert_untouched(disk, 8 * 512, 4096);
}

static void large_unaligned_write_takes_several_pieces(void **state)
{
	struct disk *disk = disk_of(state);
	uint32_t bytes = DISK_DATA_BYTES - 512;
	/* The same buffer twice: longer than the bounce buffer. */
	const struct ring_segment data[] = {{disk->data_gpa + 7, bytes, false},
					    {disk->data_gpa + 7, bytes, false}};

	for (unsigned i = 0; i < DISK_DATA_BYTES; i++)
		disk_data(disk)[i] = (uint8_t)(i * 13);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_OUT, 1, data, 2), VIRTIO_BLK_S_OK);
	disk_assert_untouched(disk, 0, 512);
	disk_assert_image(disk, 512, disk_data(disk) + 7, bytes);
	disk_assert_image(disk, 512 + bytes, disk_data(disk) + 7, bytes);
	disk_assert_untouched(disk, 512 + 2 * bytes, 512);
}

static void write_zeroes_of_odd_sectors_changes_only_them(void **state)
{
	static const uint8_t zeroes[3 * 512];
	struct disk *disk = disk_of(state);
	const struct virtio_blk_discard_write_zeroes range = {9, 3, 0};
	const struct ring_segment data = {disk->data_gpa, sizeof(range), false};

	memcpy(disk_data(disk), &range, sizeof(range));
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_WRITE_ZEROES, 0, &data, 1), VIRTIO_BLK_S_OK);
	disk_assert_untouched(disk, 0, 9 * 512);
	disk_assert_image(disk, 9 * 512, zeroes, sizeof(zeroes));
	disk_assert_untouched(disk, 12 * 512, 4096);
}

/* Aligned and unaligned ones in one ring: the latter wait for the device to be theirs. */
static void mixed_requests_are_all_answered(void **state)
{
	struct disk *disk = disk_of(state);
	unsigned count = DISK_QUEUE_SIZE / 3, answered = 0;
	uint16_t head;

	for (unsigned i = 0; i < count; i++) {
		struct virtio_blk_outhdr *header =
			guest_ram_at(&disk->ram, disk->header_gpa + i * 16);
		const struct ring_segment segments[] = {
			{disk->header_gpa + i * 16, 16, false},
			{disk->data_gpa + i * 8192 + i % 3, 4096, true},
			{disk->status_gpa + i, 1, true}};

		header->type = VIRTIO_BLK_T_IN;
		header->sector = (uint64_t)i * 8;
		assert_true(ring_driver_add(&disk->ring, segments, 3) >= 0);
	}
	(void)ring_driver_kick(&disk->ring);
	while (answered < count && ring_driver_wait(&disk->ring, DISK_TIMEOUT_MS))
		while (ring_driver_take(&disk->ring, &head, NULL))
			answered++;
	assert_int_equal(answered, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(*(uint8_t *)guest_ram_at(&disk->ram, disk->status_gpa + i),
				 VIRTIO_BLK_S_OK);
		for (unsigned j = 0; j < 4096; j++)
			assert_int_equal(disk_data(disk)[i * 8192 + i % 3 + j],
					 disk_byte(i * 4096 + j));
	}
}

static void shrunk_image_is_an_io_error(void **state)
{
	struct disk *disk = disk_of(state);
	const struct ring_segment data = {disk->data_gpa + 1, 8192, true};

	assert_int_equal(ftruncate(disk->fd, 8192), 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 8, 8192), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_IN, 8, &data, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_IN, 0, &data, 1), VIRTIO_BLK_S_OK);
}

/* Fills the ring with writes of the whole data area, which keep the device busy for a while. */
static unsigned add_long_writes(struct disk *disk)
{
	const struct ring_segment segments[] = {{disk->header_gpa, 16, false},
						{disk->data_gpa, DISK_DATA_BYTES, false},
						{disk->status_gpa, 1, true}};
	unsigned count = 0;

	memset(disk_data(disk), 0x42, DISK_DATA_BYTES);
	disk_write_header(disk, VIRTIO_BLK_T_OUT, 0);
	while (ring_driver_add(&disk->ring, segments, 3) >= 0)
		count++;
	return count;
}

static unsigned take_all(struct disk *disk)
{
	unsigned count = 0;
	uint16_t head;

	while (ring_driver_take(&disk->ring, &head, NULL))
		count++;
	return count;
}

static void quiesce_waits_for_what_is_under_way(void **state)
{
	struct disk *disk = disk_of(state);
	unsigned count = add_long_writes(disk);
	struct error err = ERROR_INIT;

	(void)ring_driver_kick(&disk->ring);
	/* Some are under way, or none was popped yet. */
	(void)ring_driver_wait(&disk->ring, DISK_TIMEOUT_MS);
	if (worker_driver_quiesce(&disk->driver, DISK_TIMEOUT_MS, &err))
		fail_msg("%s", err.message);
	assert_int_equal(take_all(disk), count);
	assert_int_equal(disk_status(disk), VIRTIO_BLK_S_OK);
	disk_assert_image(disk, 0, disk_data(disk), DISK_DATA_BYTES);
}

static void reset_with_requests_under_way_ends_them(void **state)
{
	struct disk *disk = disk_of(state);
	struct error err = ERROR_INIT;

	(void)add_long_writes(disk);
	(void)ring_driver_kick(&disk->ring);
	(void)ring_driver_wait(&disk->ring, DISK_TIMEOUT_MS);
	if (worker_driver_reset(&disk->driver, DISK_TIMEOUT_MS, &err))
		fail_msg("%s", err.message);
	ring_driver_reset(&disk->ring);
	disk_activate(disk, 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_data(disk)[0], 0x42);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, start_uring, stop),                                  \
		cmocka_unit_test_setup_teardown(test, start_threads, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(aligned_buffers_go_straight_through),
		BOTH(unaligned_read_arrives),
		BOTH(unaligned_write_changes_only_its_sectors),
		BOTH(large_unaligned_write_takes_several_pieces),
		BOTH(write_zeroes_of_odd_sectors_changes_only_them),
		BOTH(mixed_requests_are_all_answered),
		BOTH(shrunk_image_is_an_io_error),
		BOTH(quiesce_waits_for_what_is_under_way),
		BOTH(reset_with_requests_under_way_ends_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
