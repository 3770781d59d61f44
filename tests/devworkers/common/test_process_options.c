/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker tells a process it starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <getopt.h>

#include "devworkers/common/process_options.h"

static int parse(struct process_options *options, char **arguments, int count)
{
	optind = 0; /* begin again */
	return process_options_parse(count, arguments, "A test.", options);
}

static void nothing_given_means_the_safe_defaults(void **state)
{
	char *arguments[] = {(char[]){"bulkhead-x"}, NULL};
	struct process_options options;

	(void)state;
	assert_int_equal(parse(&options, arguments, 1), 0);
	assert_string_equal(options.device_id, "");
	assert_string_equal(options.vm_name, "");
	assert_int_equal(options.log_level, LOG_LEVEL_WARNING);
	assert_int_equal(options.seccomp_mode, SANDBOX_SECCOMP_ENFORCE);
	assert_false(options.log_relay);
}

static void everything_given_is_taken(void **state)
{
	char *arguments[] = {(char[]){"bulkhead-x"},
			     (char[]){"--device-id=root"},
			     (char[]){"--vm-name=vm1"},
			     (char[]){"--log-level=3"},
			     (char[]){"--log-relay"},
			     (char[]){"--seccomp=log"},
			     NULL};
	struct process_options options;

	(void)state;
	assert_int_equal(parse(&options, arguments, 6), 0);
	assert_string_equal(options.device_id, "root");
	assert_string_equal(options.vm_name, "vm1");
	assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(options.seccomp_mode, SANDBOX_SECCOMP_LOG);
	assert_true(options.log_relay);
}

static void help_and_version_are_answered(void **state)
{
	static char questions[][16] = {"--help", "--version"};
	struct process_options options;

	(void)state;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		char *arguments[] = {(char[]){"/folder/bulkhead-x"}, questions[i], NULL};

		assert_int_equal(parse(&options, arguments, 2), 1);
	}
}

static void a_mistake_is_refused(void **state)
{
	static char mistakes[][24] = {"--log-level=4", "--log-level=",	 "--log-level=33",
				      "--seccomp=no",  "--unknown",	 "--device-id",
				      "word",	       "--seccomp=TRUE", "--log-level=-1"};
	struct process_options options;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char *arguments[] = {(char[]){"bulkhead-x"}, mistakes[i], NULL};

		assert_int_equal(parse(&options, arguments, 2), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_means_the_safe_defaults),
		cmocka_unit_test(everything_given_is_taken),
		cmocka_unit_test(help_and_version_are_answered),
		cmocka_unit_test(a_mistake_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
