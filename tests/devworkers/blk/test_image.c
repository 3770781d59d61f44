/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "devworkers/blk/image.h"
#include "ipc/cleanup.h"
#include "tests/devworkers/blk/temporary_image.h"

static void file_is_opened_with_its_size(void **state)
{
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;
	int fd = temporary_image(1024 * 512, 0);

	(void)state;
	assert_int_equal(image_open(&image, fd, false, false, &err), 0);
	assert_int_equal(image.fd, fd);
	assert_int_equal(image.size_bytes, 1024 * 512);
	assert_int_equal(image.logical_block_bytes, 512);
	assert_false(image.block_device);
	image_close(&image);
	assert_int_equal(image.fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void odd_size_is_refused_by_name(void **state)
{
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = temporary_image(1000, 0);

	(void)state;
	assert_int_equal(image_open(&image, fd, false, false, &err), -EINVAL);
	assert_non_null(strstr(err.message, "1000 bytes"));
	assert_non_null(strstr(err.message, "512"));
	assert_int_equal(image.fd, -1);
}

static void wrong_access_mode_is_refused(void **state)
{
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;
	cleanup_fd int writable = temporary_image(512, 0);
	cleanup_fd int readable = reopen_image(writable, O_RDONLY);

	(void)state;
	assert_int_equal(image_open(&image, writable, true, false, &err), -EINVAL);
	assert_int_equal(image_open(&image, readable, false, false, &err), -EINVAL);
	assert_int_equal(image_open(&image, readable, true, true, &err), -EINVAL);
	assert_int_equal(image_open(&image, readable, true, false, &err), 0);
}

static void appending_is_refused(void **state)
{
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;
	cleanup_fd int writable = temporary_image(512, 0);
	cleanup_fd int appending = reopen_image(writable, O_RDWR | O_APPEND);

	(void)state;
	assert_int_equal(image_open(&image, appending, false, false, &err), -EINVAL);
	assert_non_null(strstr(err.message, "append"));
}

static void what_is_no_file_is_refused(void **state)
{
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(image_open(&image, null, false, false, &err), -EINVAL);
	assert_int_equal(image_open(&image, pair[0], false, false, &err), -EINVAL);
	close(pair[0]);
	close(pair[1]);
}

static void buffered_transfers_need_no_alignment(void **state)
{
	struct image image = {.memory_alignment_bytes = 1, .offset_alignment_bytes = 1};
	struct iovec odd = {(void *)0x1001, 512};

	(void)state;
	assert_true(image_is_aligned(&image, 512, &odd, 1));
	assert_true(image_range_is_aligned(&image, 512, 512));
}

static void direct_transfers_need_aligned_memory_lengths_and_offsets(void **state)
{
	struct image image = {
		.direct = true, .memory_alignment_bytes = 512, .offset_alignment_bytes = 4096};
	struct iovec good[] = {{(void *)0x1000, 4096}, {(void *)0x3200, 8192}};
	struct iovec odd_memory[] = {{(void *)0x1000, 4096}, {(void *)0x3100, 8192}};
	struct iovec odd_length[] = {{(void *)0x1000, 512}, {(void *)0x3200, 8192 - 512}};

	(void)state;
	assert_true(image_is_aligned(&image, 8192, good, 2));
	assert_false(image_is_aligned(&image, 512, good, 2));
	assert_false(image_is_aligned(&image, 8192, odd_memory, 2));
	assert_false(image_is_aligned(&image, 8192, odd_length, 2));
	assert_true(image_range_is_aligned(&image, 4096, 8192));
	assert_false(image_range_is_aligned(&image, 4096, 512));
}

static void direct_image_tells_its_alignment(void **state)
{
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;
	int fd = temporary_image(64 * 4096, O_DIRECT);

	(void)state;
	if (fd < 0) {
		print_message("skip: no direct I/O in %s\n", temporary_folder());
		skip();
	}
	assert_int_equal(image_open(&image, fd, false, true, &err), 0);
	assert_true(image.offset_alignment_bytes >= 512);
	assert_true(image.memory_alignment_bytes >= 1);
	assert_true(image.logical_block_bytes >= image.offset_alignment_bytes);
	image_close(&image);
}

static void grown_file_has_its_new_size(void **state)
{
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;
	uint64_t size = 0;

	(void)state;
	assert_int_equal(image_open(&image, temporary_image(512, 0), false, false, &err), 0);
	assert_int_equal(ftruncate(image.fd, 2048), 0);
	assert_int_equal(image_current_size(&image, &size, &err), 0);
	assert_int_equal(size, 2048);
	assert_int_equal(image.size_bytes, 512);
	assert_int_equal(ftruncate(image.fd, 2049), 0);
	assert_int_equal(image_current_size(&image, &size, &err), -EINVAL);
	assert_non_null(strstr(err.message, "2049"));
	image_close(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_opened_with_its_size),
		cmocka_unit_test(odd_size_is_refused_by_name),
		cmocka_unit_test(wrong_access_mode_is_refused),
		cmocka_unit_test(appending_is_refused),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(buffered_transfers_need_no_alignment),
		cmocka_unit_test(direct_transfers_need_aligned_memory_lengths_and_offsets),
		cmocka_unit_test(direct_image_tells_its_alignment),
		cmocka_unit_test(grown_file_has_its_new_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
