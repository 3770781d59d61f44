/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "devworkers/blk/device.h"
#include "devworkers/blk/inline_io.h"
#include "ipc/cleanup.h"
#include "tests/devworkers/blk/temporary_image.h"

static void cached_data_is_read_at_once(void **state)
{
	cleanup_fd int fd = temporary_image(8192, 0);
	char content[512], buffer[512];
	struct iovec whole = {buffer, sizeof(buffer)};
	struct inline_io policy;
	uint64_t now_ns = 0;
	int64_t moved;

	(void)state;
	memset(content, 0x42, sizeof(content));
	assert_int_equal(pwrite(fd, content, sizeof(content), 1024), sizeof(content));
	inline_io_init(&policy, true);
	moved = inline_io_read(&policy, fd, &whole, 1, 1024, &now_ns);
	if (policy.no_read_nowait) {
		print_message("skip: no RWF_NOWAIT in %s\n", temporary_folder());
		skip();
	}
	assert_int_equal(moved, sizeof(buffer));
	assert_memory_equal(buffer, content, sizeof(buffer));
	assert_true(now_ns > 0);
}

static void end_of_the_image_is_left_to_the_engine(void **state)
{
	cleanup_fd int fd = temporary_image(512, 0);
	char buffer[512];
	struct iovec whole = {buffer, sizeof(buffer)};
	struct inline_io policy;
	uint64_t now_ns = 0;

	(void)state;
	inline_io_init(&policy, true);
	assert_int_equal(inline_io_read(&policy, fd, &whole, 1, 512, &now_ns), 0);
}

static void write_reaches_the_image(void **state)
{
	cleanup_fd int fd = temporary_image(8192, 0);
	char content[512], buffer[512];
	struct iovec whole = {content, sizeof(content)};
	struct inline_io policy;
	uint64_t now_ns = blk_now_ns();

	(void)state;
	memset(content, 0x42, sizeof(content));
	inline_io_init(&policy, true);
	assert_int_equal(inline_io_write(&policy, fd, &whole, 1, 1024, &now_ns), sizeof(content));
	assert_int_equal(pread(fd, buffer, sizeof(buffer), 1024), sizeof(buffer));
	assert_memory_equal(buffer, content, sizeof(buffer));
}

static void nothing_is_done_for_an_image_that_is_not_cached(void **state)
{
	cleanup_fd int fd = temporary_image(512, 0);
	char buffer[512] = {1};
	struct iovec whole = {buffer, sizeof(buffer)};
	struct inline_io policy;
	uint64_t now_ns = blk_now_ns();

	(void)state;
	inline_io_init(&policy, false);
	assert_int_equal(inline_io_read(&policy, fd, &whole, 1, 0, &now_ns), 0);
	assert_int_equal(inline_io_write(&policy, fd, &whole, 1, 0, &now_ns), 0);
	assert_int_equal(buffer[0], 1);
}

static void writes_go_to_the_engine_during_a_pause(void **state)
{
	cleanup_fd int fd = temporary_image(512, 0);
	char buffer[512] = {1};
	struct iovec whole = {buffer, sizeof(buffer)};
	struct inline_io policy;
	uint64_t now_ns = blk_now_ns();

	(void)state;
	inline_io_init(&policy, true);
	policy.write_pause_until_ns = now_ns + 1000000000;
	assert_int_equal(inline_io_write(&policy, fd, &whole, 1, 0, &now_ns), 0);
	policy.write_pause_until_ns = now_ns;
	assert_int_equal(inline_io_write(&policy, fd, &whole, 1, 0, &now_ns), 512);
}

static void errors_are_left_to_the_engine(void **state)
{
	cleanup_fd int fd = temporary_image(512, 0);
	struct iovec bad = {(void *)8, 512};
	struct inline_io policy;
	uint64_t now_ns = blk_now_ns();

	(void)state;
	inline_io_init(&policy, true);
	assert_int_equal(inline_io_write(&policy, fd, &bad, 1, 0, &now_ns), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cached_data_is_read_at_once),
		cmocka_unit_test(end_of_the_image_is_left_to_the_engine),
		cmocka_unit_test(write_reaches_the_image),
		cmocka_unit_test(nothing_is_done_for_an_image_that_is_not_cached),
		cmocka_unit_test(writes_go_to_the_engine_during_a_pause),
		cmocka_unit_test(errors_are_left_to_the_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
