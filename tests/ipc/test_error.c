/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/error.h"

static void an_error_reads_from_the_outside_in(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_set_errno(&err, -EACCES, "open %s", "/srv/a.img"), -EACCES);
	assert_int_equal(error_prefix(&err, "disk \"%s\"", "root"), -EACCES);
	assert_string_equal(err.message, "disk \"root\": open /srv/a.img: Permission denied");
}

static void nobody_needs_to_listen(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EINVAL, "text"), -EINVAL);
	assert_int_equal(error_set_errno(NULL, -EIO, "text"), -EIO);
	assert_int_equal(error_prefix(NULL, "text"), 0);
}

static void a_long_error_is_cut_off_and_terminated(void **state)
{
	struct error err = ERROR_INIT;
	char text[2 * ERROR_MESSAGE_SIZE];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set_errno(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.message), ERROR_MESSAGE_SIZE - 1);
	error_prefix(&err, "%s", "outer");
	assert_int_equal(strlen(err.message), ERROR_MESSAGE_SIZE - 1);
	assert_memory_equal(err.message, "outer: xxx", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_reads_from_the_outside_in),
		cmocka_unit_test(nobody_needs_to_listen),
		cmocka_unit_test(a_long_error_is_cut_off_and_terminated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
