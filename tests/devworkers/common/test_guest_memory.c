/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devworkers/common/guest_memory.h"
#include "tests/devworkers/common/guest_ram.h"

#define PAGE 4096U

/* Two regions: 3 pages at 0 and 9 pages at 0x10000, as one file. */
static int setup(void **state)
{
	static struct guest_memory memory;
	struct error err = ERROR_INIT;
	int fd = guest_ram_log_file(12 * PAGE);

	memory = (struct guest_memory)GUEST_MEMORY_INIT;
	assert_int_equal(guest_memory_add_region(&memory, 0, 3 * PAGE, dup(fd), 0, &err), 0);
	assert_int_equal(guest_memory_add_region(&memory, 0x10000, 9 * PAGE, fd, 3 * PAGE, &err),
			 0);
	*state = &memory;
	return 0;
}

static int teardown(void **state)
{
	guest_memory_destroy(*state);
	return 0;
}

static void addresses_are_translated_within_their_region(void **state)
{
	const struct guest_memory *memory = *state;

	assert_ptr_equal(guest_memory_translate(memory, 0, 1), memory->regions[0].hva);
	assert_ptr_equal(guest_memory_translate(memory, 3 * PAGE - 1, 1),
			 memory->regions[0].hva + 3 * PAGE - 1);
	assert_ptr_equal(guest_memory_translate(memory, 0x10010, 9 * PAGE - 16),
			 memory->regions[1].hva + 16);
	assert_int_equal(guest_memory_size_bytes(memory), 12 * PAGE);
}

static void ranges_that_leave_their_region_are_refused(void **state)
{
	const struct guest_memory *memory = *state;

	assert_null(guest_memory_translate(memory, 0, 0));
	assert_null(guest_memory_translate(memory, 0, 3 * PAGE + 1));
	assert_null(guest_memory_translate(memory, 3 * PAGE, 1));
	assert_null(guest_memory_translate(memory, 0xffff, 2));
	assert_null(guest_memory_translate(memory, 0x10000 + 9 * PAGE, 1));
	assert_null(guest_memory_translate(memory, 0x10000, UINT64_MAX));
	assert_null(guest_memory_translate(memory, UINT64_MAX, 1));
	assert_null(guest_memory_translate(memory, UINT64_MAX, UINT64_MAX));
	assert_null(guest_memory_translate(memory, UINT64_MAX - PAGE + 1, 2 * PAGE));
}

static void an_empty_memory_translates_nothing(void **state)
{
	struct guest_memory memory = GUEST_MEMORY_INIT;

	(void)state;
	assert_null(guest_memory_translate(&memory, 0, 1));
	guest_memory_destroy(&memory);
}

static void copies_stay_inside(void **state)
{
	struct guest_memory *memory = *state;
	char text[8] = {0};

	assert_int_equal(guest_memory_write(memory, 0x10004, "hello", 6), 0);
	assert_int_equal(guest_memory_read(memory, 0x10004, text, 6), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(guest_memory_write(memory, 3 * PAGE - 2, "hello", 6), -EFAULT);
	assert_int_equal(guest_memory_read(memory, 3 * PAGE - 2, text, 6), -EFAULT);
}

static void impossible_regions_are_refused(void **state)
{
	struct guest_memory *memory = *state;
	const uint64_t behind = 0x10000 + 9 * PAGE;
	int fd = guest_ram_log_file(4 * PAGE);
	struct error err = ERROR_INIT;

	assert_int_equal(guest_memory_add_region(memory, behind + 1, PAGE, fd, 0, &err), -EINVAL);
	assert_int_equal(guest_memory_add_region(memory, behind, 0, fd, 0, &err), -EINVAL);
	assert_int_equal(guest_memory_add_region(memory, behind, PAGE + 1, fd, 0, &err), -EINVAL);
	assert_int_equal(guest_memory_add_region(memory, behind, PAGE, fd, 1, &err), -EINVAL);
	assert_int_equal(guest_memory_add_region(memory, behind, 5 * PAGE, fd, 0, &err), -EINVAL);
	assert_int_equal(guest_memory_add_region(memory, behind, PAGE, fd, 4 * PAGE, &err),
			 -EINVAL);
	assert_int_equal(
		guest_memory_add_region(memory, behind, PAGE, fd, UINT64_MAX - PAGE + 1, &err),
		-EINVAL);
	assert_int_equal(guest_memory_add_region(memory, behind - PAGE, PAGE, fd, 0, &err),
			 -EINVAL); /* overlaps */
	assert_int_equal(guest_memory_add_region(memory, 4 * PAGE, PAGE, fd, 0, &err),
			 -EINVAL); /* not ascending */
	assert_int_equal(guest_memory_add_region(memory, UINT64_C(1) << 52, PAGE, fd, 0, &err),
			 -EINVAL);
	assert_int_equal(
		guest_memory_add_region(memory, behind, UINT64_MAX - PAGE + 1, fd, 0, &err),
		-EINVAL);
	assert_int_equal(memory->region_count, 2);
	close(fd);
}

static void a_fifth_region_is_refused(void **state)
{
	struct guest_memory *memory = *state;
	int fd = guest_ram_log_file(PAGE);
	struct error err = ERROR_INIT;

	assert_int_equal(guest_memory_add_region(memory, 0x100000, PAGE, dup(fd), 0, &err), 0);
	assert_int_equal(guest_memory_add_region(memory, 0x200000, PAGE, dup(fd), 0, &err), 0);
	assert_int_equal(guest_memory_add_region(memory, 0x300000, PAGE, fd, 0, &err), -EINVAL);
	close(fd);
}

static void something_that_is_no_file_is_refused(void **state)
{
	struct guest_memory *memory = *state;
	struct error err = ERROR_INIT;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(guest_memory_add_region(memory, 0x100000, PAGE, pipes[0], 0, &err),
			 -EINVAL);
	assert_int_equal(guest_memory_add_region(memory, 0x100000, PAGE, -1, 0, &err), -EBADF);
	close(pipes[0]);
	close(pipes[1]);
}

/* ---- dirty log ---- */

static void start_log(struct guest_memory *memory)
{
	int fd = guest_ram_log_file(guest_memory_dirty_log_bytes(memory));
	struct error err = ERROR_INIT;

	assert_int_equal(guest_memory_dirty_log_start(memory, fd, &err), 0);
	close(fd);
}

static void each_region_begins_at_a_whole_byte_of_the_log(void **state)
{
	struct guest_memory *memory = *state;

	assert_int_equal(memory->regions[1].first_page, 8);
	assert_int_equal(guest_memory_dirty_log_bytes(memory), 8); /* 8 + 9 bits, in whole words */
}

static void written_pages_are_marked_and_no_others(void **state)
{
	struct guest_memory *memory = *state;

	start_log(memory);
	guest_memory_mark_dirty(memory, memory->regions[0].hva + PAGE - 1, 1);
	assert_int_equal(memory->dirty_bitmap[0], 1);
	guest_memory_mark_dirty(memory, memory->regions[0].hva + 2 * PAGE - 1, 2);
	assert_int_equal(memory->dirty_bitmap[0], 7);
	guest_memory_mark_dirty(memory, memory->regions[1].hva + 8 * PAGE, PAGE);
	assert_int_equal(memory->dirty_bitmap[0], 7 | 1 << 16);
	guest_memory_mark_dirty(memory, memory->regions[1].hva, 9 * PAGE);
	assert_int_equal(memory->dirty_bitmap[0], 7 | 0x1ff << 8);
}

static void marks_may_cross_words_of_the_log(void **state)
{
	struct guest_memory memory = GUEST_MEMORY_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(guest_memory_add_region(&memory, 0, 300 * PAGE,
						 guest_ram_log_file(300 * PAGE), 0, &err),
			 0);
	start_log(&memory);
	guest_memory_mark_dirty(&memory, memory.regions[0].hva + 60 * PAGE, 200 * PAGE);
	assert_true(memory.dirty_bitmap[0] == UINT64_C(0xf) << 60);
	assert_true(memory.dirty_bitmap[1] == UINT64_MAX);
	assert_true(memory.dirty_bitmap[3] == UINT64_MAX);
	assert_true(memory.dirty_bitmap[4] == 0xf);
	guest_memory_destroy(&memory);
}

static void writes_are_marked_when_logging_is_on(void **state)
{
	struct guest_memory *memory = *state;

	assert_int_equal(guest_memory_write(memory, PAGE, "x", 1), 0);
	start_log(memory);
	assert_int_equal(memory->dirty_bitmap[0], 0);
	assert_int_equal(guest_memory_write(memory, PAGE, "x", 1), 0);
	assert_int_equal(memory->dirty_bitmap[0], 2);
	guest_memory_dirty_log_stop(memory);
	assert_null(memory->dirty_bitmap);
	assert_int_equal(guest_memory_write(memory, PAGE, "x", 1), 0);
}

static void a_log_that_is_too_small_or_could_shrink_is_refused(void **state)
{
	struct guest_memory *memory = *state;
	struct error err = ERROR_INIT;
	int small = guest_ram_log_file(7);
	int open_ended = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(open_ended, PAGE), 0);
	assert_int_equal(guest_memory_dirty_log_start(memory, small, &err), -EINVAL);
	assert_int_equal(guest_memory_dirty_log_start(memory, open_ended, &err), -EINVAL);
	assert_null(memory->dirty_bitmap);
	close(small);
	close(open_ended);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(addresses_are_translated_within_their_region),
		TEST(ranges_that_leave_their_region_are_refused),
		cmocka_unit_test(an_empty_memory_translates_nothing),
		TEST(copies_stay_inside),
		TEST(impossible_regions_are_refused),
		TEST(a_fifth_region_is_refused),
		TEST(something_that_is_no_file_is_refused),
		TEST(each_region_begins_at_a_whole_byte_of_the_log),
		TEST(written_pages_are_marked_and_no_others),
		cmocka_unit_test(marks_may_cross_words_of_the_log),
		TEST(writes_are_marked_when_logging_is_on),
		TEST(a_log_that_is_too_small_or_could_shrink_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
