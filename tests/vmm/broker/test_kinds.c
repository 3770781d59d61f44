/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"
#include "vmm/broker/kinds.h"
#include "vmm/broker/syscall_names.h"

struct fixture {
	char folder[64];
	char blk[96], other[96];
	struct kind_table table;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct error err = ERROR_INIT;

	scratch_folder_make("kinds", fixture->folder, sizeof(fixture->folder));
	(void)snprintf(fixture->blk, sizeof(fixture->blk), "%s/bulkhead-blk", fixture->folder);
	(void)snprintf(fixture->other, sizeof(fixture->other), "%s/bulkhead-evil", fixture->folder);
	close(open(fixture->blk, O_CREAT | O_WRONLY, 0700));
	close(open(fixture->other, O_CREAT | O_WRONLY, 0700));
	*state = fixture;
	return kind_table_open(&fixture->table, fixture->folder, &err);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	kind_table_close(&fixture->table);
	(void)unlink(fixture->blk);
	(void)unlink(fixture->other);
	(void)rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static int find(const struct fixture *fixture, const char *kind, bool helper)
{
	struct error err = ERROR_INIT;
	const char *name;
	int fd;

	return kind_table_find(&fixture->table, kind, helper, &fd, &name, &err);
}

static void an_installed_kind_is_found(void **state)
{
	assert_int_equal(find(*state, "blk", false), 0);
}

static void a_kind_that_is_not_installed_is_an_error(void **state)
{
	assert_int_equal(find(*state, "rng", false), -ENOENT);
}

static void a_program_outside_the_table_is_no_kind(void **state)
{
	assert_int_equal(find(*state, "evil", false), -EINVAL);
	assert_int_equal(find(*state, "../bulkhead-blk", false), -EINVAL);
	assert_int_equal(find(*state, "", false), -EINVAL);
}

static void a_device_is_no_helper(void **state)
{
	assert_int_equal(find(*state, "blk", true), -EINVAL);
	assert_int_equal(find(*state, "gateway", false), -EINVAL);
}

static void system_calls_have_names(void **state)
{
	(void)state;
	assert_string_equal(syscall_name(SYS_openat), "openat");
	assert_string_equal(syscall_name(0), "read");
	assert_string_equal(syscall_name(-1), "unknown");
	assert_string_equal(syscall_name(100000), "unknown");
	assert_string_equal(syscall_name(400), "unknown"); /* a gap in the table */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_installed_kind_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kind_that_is_not_installed_is_an_error, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_program_outside_the_table_is_no_kind, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_device_is_no_helper, setup, teardown),
		cmocka_unit_test(system_calls_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
