/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes a memory file behind the one that fills it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/core/snapshot/memory_output.h"

#define PIECES	    20
#define PIECE_BYTES 4096

static struct memory_output *output_on(int fd, _Atomic uint64_t *stored)
{
	struct error err = ERROR_INIT;
	struct memory_output *output = memory_output_new(fd, stored, &err);

	if (!output)
		fail_msg("%s", err.message);
	return output;
}

/* Every second page is written, the last first. */
static uint64_t offset_of(unsigned piece)
{
	return (uint64_t)(PIECES - 1 - piece) * 2 * PIECE_BYTES;
}

static void what_is_submitted_is_where_it_belongs(void **state)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	_Atomic uint64_t stored = 0;
	struct memory_output *output = output_on(fd, &stored);
	struct error err = ERROR_INIT;

	(void)state;
	for (unsigned i = 0; i < PIECES; i++) {
		memset(memory_output_buffer(output), (int)i + 1, PIECE_BYTES);
		assert_int_equal(memory_output_submit(output, offset_of(i), PIECE_BYTES, &err), 0);
	}
	assert_int_equal(memory_output_finish(output, &err), 0);
	memory_output_destroy(output);
	assert_int_equal(stored, PIECES * PIECE_BYTES);
	for (unsigned i = 0; i < PIECES; i++) {
		uint8_t ends[2];

		assert_int_equal(pread(fd, &ends[0], 1, (off_t)offset_of(i)), 1);
		assert_int_equal(pread(fd, &ends[1], 1, (off_t)(offset_of(i) + PIECE_BYTES - 1)),
				 1);
		assert_int_equal(ends[0], i + 1);
		assert_int_equal(ends[1], i + 1);
	}
	close(fd);
}

static void a_failure_is_told_and_nothing_is_written_after_it(void **state)
{
	int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	_Atomic uint64_t stored = 0;
	struct memory_output *output = output_on(fd, &stored);
	struct error err = ERROR_INIT;
	int result = 0;

	(void)state;
	assert_int_equal(ftruncate(fd, PIECE_BYTES), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	/* The first cannot be written, the others could. */
	for (unsigned i = 0; result == 0 && i < PIECES; i++) {
		memset(memory_output_buffer(output), 1, PIECE_BYTES);
		result = memory_output_submit(output, i == 0 ? PIECE_BYTES : 0, PIECE_BYTES, &err);
	}
	assert_int_equal(result, -EPERM);
	assert_int_equal(memory_output_finish(output, &err), -EPERM);
	assert_int_equal(stored, 0);
	memory_output_destroy(output);
	close(fd);
}

static void the_end_may_come_at_any_moment(void **state)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	_Atomic uint64_t stored = 0;
	struct error err = ERROR_INIT;

	(void)state;
	for (unsigned submitted = 0; submitted < 4; submitted++) {
		struct memory_output *output = output_on(fd, &stored);

		for (unsigned i = 0; i < submitted; i++) {
			memset(memory_output_buffer(output), 1, PIECE_BYTES);
			assert_int_equal(
				memory_output_submit(output, offset_of(i), PIECE_BYTES, &err), 0);
		}
		memory_output_destroy(output);
	}
	memory_output_destroy(NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_submitted_is_where_it_belongs),
		cmocka_unit_test(a_failure_is_told_and_nothing_is_written_after_it),
		cmocka_unit_test(the_end_may_come_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
