/* SPDX-License-Identifier: Apache-2.0 */
/* A region of a snapshot's memory: what is handed out, and what never is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/pager/saved_memory.h"
#include "vmm/pager/region.h"

#define CHUNK (64U << 10)

struct fixture {
	struct saved_memory saved;
	struct region region;
	struct region_layout layout;
	struct error err;
	uint8_t *unit;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	saved_memory_make(&fixture->saved, 32, CHUNK);
	fixture->region.fd = -1;
	fixture->unit = malloc(REGION_MAX_UNIT_BYTES);
	fixture->layout = (struct region_layout){.size_bytes = 32 * CHUNK,
						 .chunk_bytes = CHUNK,
						 .page_bytes = REGION_SMALL_PAGE,
						 .core_address = 1U << 30};
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	region_destroy(&fixture->region);
	saved_memory_destroy(&fixture->saved);
	free(fixture->unit);
	free(fixture);
	return 0;
}

static int init(struct fixture *fixture)
{
	const uint8_t *index = fixture->saved.index;
	size_t bytes = fixture->saved.index_bytes;
	int fd = dup(fixture->saved.fd);
	int ret =
		region_init(&fixture->region, &fixture->layout, &index, &bytes, fd, &fixture->err);

	if (ret < 0)
		close(fd);
	else
		assert_int_equal(bytes, 0);
	return ret;
}

static void every_chunk_is_read_as_it_was_saved(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bad = 0;

	assert_int_equal(init(fixture), 0);
	for (unsigned unit = 0; unit < 32; unit++) {
		assert_int_equal(region_has_unit(&fixture->region, unit),
				 saved_memory_has(&fixture->saved, unit));
		assert_int_equal(region_read_unit(&fixture->region, unit, fixture->unit, &bad,
						  &fixture->err),
				 0);
		assert_memory_equal(fixture->unit, fixture->saved.content + unit * CHUNK, CHUNK);
	}
}

static void huge_pages_are_put_together_from_chunks(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bad = 0;

	fixture->layout.page_bytes = REGION_HUGE_PAGE;
	assert_int_equal(init(fixture), 0);
	assert_int_equal(fixture->region.unit_count, 1);
	assert_int_equal(region_read_unit(&fixture->region, 0, fixture->unit, &bad, &fixture->err),
			 0);
	assert_memory_equal(fixture->unit, fixture->saved.content, REGION_HUGE_PAGE);
}

static void one_wrong_bit_is_named(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bad = 0;

	assert_int_equal(init(fixture), 0);
	saved_memory_flip_bit(&fixture->saved, 3 * CHUNK + 4711);
	assert_int_equal(region_read_unit(&fixture->region, 3, fixture->unit, &bad, &fixture->err),
			 -EINVAL);
	assert_int_equal(bad, 3 * CHUNK);
	assert_non_null(strstr(fixture->err.message, "damaged at 196608"));
}

static void a_file_that_became_shorter_is_named(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bad = 0;

	assert_int_equal(init(fixture), 0);
	assert_int_equal(ftruncate(fixture->saved.fd, 3 * CHUNK + 10), 0);
	assert_int_equal(region_read_unit(&fixture->region, 3, fixture->unit, &bad, &fixture->err),
			 -EINVAL);
	assert_non_null(strstr(fixture->err.message, "cut short at 196618"));
}

static void numbers_that_do_not_fit_are_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct region_layout good = fixture->layout;
	const struct region_layout bad[] = {
		{good.size_bytes, 3000, good.page_bytes, good.core_address, false},
		{good.size_bytes, 2048, good.page_bytes, good.core_address, false},
		{good.size_bytes, 8U << 20, good.page_bytes, good.core_address, false},
		{good.size_bytes, CHUNK, 16384, good.core_address, false},
		{good.size_bytes + 4096, CHUNK, good.page_bytes, good.core_address, false},
		{0, CHUNK, good.page_bytes, good.core_address, false},
		{good.size_bytes, CHUNK, good.page_bytes, 17, false},
		{good.size_bytes, CHUNK, good.page_bytes, UINT64_MAX - 4095, false},
		{good.size_bytes * 2, CHUNK, good.page_bytes, good.core_address, false},
		{UINT64_MAX - CHUNK + 1, CHUNK, good.page_bytes, good.core_address, false},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fixture->layout = bad[i];
		assert_int_equal(init(fixture), -EINVAL);
	}
}

static void a_short_index_is_refused(void **state)
{
	struct fixture *fixture = *state;
	size_t whole = fixture->saved.index_bytes;

	for (size_t bytes = 0; bytes < whole; bytes += 4) {
		fixture->saved.index_bytes = bytes;
		assert_int_equal(init(fixture), -EINVAL);
	}
	fixture->saved.index_bytes = whole;
	fixture->saved.index[7] = 0x80; /* chunk 63 of 32 */
	assert_int_equal(init(fixture), -EINVAL);
}

static void zeros_go_further_the_longer_a_hole_is_walked(void **state)
{
	struct fixture *fixture = *state;
	uint64_t first, second, third, jump;

	memset(fixture->saved.index, 0, fixture->saved.index_bytes);
	fixture->saved.index_bytes = sizeof(uint64_t); /* 32 chunks, no checksums */
	assert_int_equal(init(fixture), 0);
	region_hole_run(&fixture->region, 0, &first);
	region_hole_run(&fixture->region, 1, &second);
	region_hole_run(&fixture->region, 3, &third);
	region_hole_run(&fixture->region, 20, &jump);
	assert_int_equal(first, CHUNK);
	assert_int_equal(second, 2 * CHUNK);
	assert_int_equal(third, 4 * CHUNK);
	assert_int_equal(jump, CHUNK);
	region_hole_run(&fixture->region, 31, &jump); /* and never past the end */
	assert_int_equal(jump, CHUNK);
}

static void zeros_never_go_over_what_was_saved(void **state)
{
	struct fixture *fixture = *state;
	uint64_t bytes;

	assert_int_equal(init(fixture), 0);
	for (unsigned unit = 0; unit < 32; unit++) {
		if (region_has_unit(&fixture->region, unit))
			continue;
		region_hole_run(&fixture->region, unit, &bytes);
		for (uint64_t at = 0; at < bytes; at += CHUNK)
			assert_false(saved_memory_has(&fixture->saved, unit + at / CHUNK));
	}
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(every_chunk_is_read_as_it_was_saved),
		WITH(huge_pages_are_put_together_from_chunks),
		WITH(one_wrong_bit_is_named),
		WITH(a_file_that_became_shorter_is_named),
		WITH(numbers_that_do_not_fit_are_refused),
		WITH(a_short_index_is_refused),
		WITH(zeros_go_further_the_longer_a_hole_is_walked),
		WITH(zeros_never_go_over_what_was_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
