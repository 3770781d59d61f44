/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "devworkers/common/state_file.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static void what_was_written_is_read_again(void **state)
{
	struct error err = ERROR_INIT;
	uint8_t *bytes = NULL;
	size_t length = 0;
	int fd = state_file_create("state", 6, &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(state_file_read(fd, &bytes, &length, &err), 0);
	assert_int_equal(length, 6);
	assert_string_equal((const char *)bytes, "state");
	free(bytes);
	close(fd);
}

static void nobody_can_change_it_afterwards(void **state)
{
	struct error err = ERROR_INIT;
	int fd = state_file_create("state", 6, &err);

	(void)state;
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, 100), -1);
	close(fd);
}

static int new_file(off_t bytes, int seals)
{
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void expect_refused(int fd)
{
	struct error err = ERROR_INIT;
	uint8_t *bytes = NULL;
	size_t length = 0;

	assert_int_equal(state_file_read(fd, &bytes, &length, &err), -EINVAL);
	assert_null(bytes);
	close(fd);
}

static void files_without_every_seal_are_refused(void **state)
{
	int pipes[2];

	(void)state;
	expect_refused(new_file(4096, SEALS & ~F_SEAL_WRITE));
	expect_refused(new_file(4096, SEALS & ~F_SEAL_SHRINK));
	expect_refused(new_file(4096, SEALS & ~F_SEAL_GROW));
	assert_int_equal(pipe(pipes), 0);
	close(pipes[1]);
	expect_refused(pipes[0]);
}

static void empty_and_huge_files_are_refused(void **state)
{
	(void)state;
	expect_refused(new_file(0, SEALS));
	expect_refused(new_file((off_t)STATE_FILE_MAX_BYTES + 1, SEALS));
	expect_refused(new_file((off_t)1 << 40, SEALS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_again),
		cmocka_unit_test(nobody_can_change_it_afterwards),
		cmocka_unit_test(files_without_every_seal_are_refused),
		cmocka_unit_test(empty_and_huge_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
