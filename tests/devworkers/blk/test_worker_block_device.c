/* SPDX-License-Identifier: Apache-2.0 */
/* A real worker on a block device with blocks of 4096 bytes: a loop device on a temporary image. */
#include "tests/devworkers/blk/disk_fixture.h"

#include <endian.h>
#include <sys/ioctl.h>

#include "tests/support/loop_device.h"

static int start(void **state, const struct disk_options *options)
{
	static struct disk disk;
	cleanup_fd int image = temporary_image(DISK_BYTES, 0);
	cleanup_fd int given = -1;
	char path[32];

	memset(&disk, 0, sizeof(disk));
	*state = NULL;
	disk.fd = loop_device_make(image, 4096, path, sizeof(path));
	if (disk.fd < 0)
		return 0;
	given = open(path, O_RDWR | O_CLOEXEC | (options->direct ? O_DIRECT : 0));
	assert_true(given >= 0);
	*state = &disk;
	disk_fill_image(disk.fd, DISK_BYTES);
	assert_int_equal(fdatasync(disk.fd), 0);
	disk_start_on(&disk, given, options);
	return 0;
}

static int start_buffered(void **state)
{
	const struct disk_options options = {0};

	return start(state, &options);
}

static int start_direct(void **state)
{
	const struct disk_options options = {.direct = true};

	return start(state, &options);
}

static int start_direct_threads(void **state)
{
	const struct disk_options options = {.direct = true, .threads = true};

	return start(state, &options);
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
		print_message("skip: no loop device is to be had\n");
		skip();
		abort(); /* skip() does not return */
	}
	return *state;
}

/* What the device holds, past the cache that direct I/O does not see. */
static void assert_device(const struct disk *disk, uint64_t offset, const void *expected,
			  size_t bytes)
{
	assert_int_equal(posix_fadvise(disk->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	disk_assert_image(disk, offset, expected, bytes);
}

static void guest_is_told_the_block_size(void **state)
{
	struct disk *disk = disk_of(state);
	struct virtio_blk_config config;

	memcpy(&config, disk->driver.config_space, sizeof(config));
	assert_int_equal(le32toh(config.blk_size), 4096);
	assert_int_equal(le64toh(config.capacity), DISK_BYTES / 512);
	assert_int_equal(le32toh(config.discard_sector_alignment) % 8, 0);
}

static void single_sectors_can_be_read_and_written(void **state)
{
	struct disk *disk = disk_of(state);
	uint8_t expected[4096];

	for (unsigned i = 0; i < sizeof(expected); i++)
		expected[i] = i / 512 == 3 ? 0x42 : disk_byte(i);
	memset(disk_data(disk), 0x42, 512);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 3, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
	assert_device(disk, 0, expected, sizeof(expected));
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 2, 1024), VIRTIO_BLK_S_OK);
	assert_memory_equal(disk_data(disk), expected + 1024, 1024);
}

static void zeroes_need_no_block_borders(void **state)
{
	static const uint8_t zeroes[16 * 512];
	struct disk *disk = disk_of(state);
	const struct virtio_blk_discard_write_zeroes ranges[] = {{5, 6, 0}, {32, 16, 1}};
	const struct ring_segment data = {disk->data_gpa, sizeof(ranges), false};

	memcpy(disk_data(disk), ranges, sizeof(ranges));
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_WRITE_ZEROES, 0, &data, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
	assert_device(disk, 5 * 512, zeroes, 6 * 512);
	disk_assert_untouched(disk, 0, 5 * 512);
	disk_assert_untouched(disk, 11 * 512, 21 * 512);
	assert_device(disk, 32 * 512, zeroes, 16 * 512);
	disk_assert_untouched(disk, 48 * 512, 4096);
}

static void discard_succeeds_at_any_alignment(void **state)
{
	struct disk *disk = disk_of(state);
	const struct virtio_blk_discard_write_zeroes ranges[] = {{3, 2, 0}, {64, 64, 0}};
	const struct ring_segment data = {disk->data_gpa, sizeof(ranges), false};

	memcpy(disk_data(disk), ranges, sizeof(ranges));
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_DISCARD, 0, &data, 1), VIRTIO_BLK_S_OK);
	disk_assert_untouched(disk, 0, 3 * 512);
	disk_assert_untouched(disk, 128 * 512, 4096);
}

#define EACH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, start_buffered, stop),                               \
		cmocka_unit_test_setup_teardown(test, start_direct, stop),                         \
		cmocka_unit_test_setup_teardown(test, start_direct_threads, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(guest_is_told_the_block_size),
		EACH(single_sectors_can_be_read_and_written),
		EACH(zeroes_need_no_block_borders),
		EACH(discard_succeeds_at_any_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
