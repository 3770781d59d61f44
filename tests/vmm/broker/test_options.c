/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <getopt.h>

#include "devworkers/common/sandbox.h"
#include "vmm/broker/options.h"
#include "vmm/broker/uid_slot.h"

#define MAX_ARGUMENTS 8

/* Parse a NULL-terminated list of arguments. */
static int parse(struct broker_options *options, const char *const *arguments)
{
	static char name[] = "bulkhead-broker";
	char *argv[MAX_ARGUMENTS + 2] = {name};
	struct error err = ERROR_INIT;
	int argc = 1;

	/* getopt_long() wants non-const pointers and does not write through them. */
	for (; arguments[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
	optind = 0; /* from the beginning, for each test */
	return broker_options_parse(argc, argv, options, &err);
}

static void defaults_hold_where_nothing_is_said(void **state)
{
	struct broker_options options;

	(void)state;
	assert_int_equal(parse(&options, (const char *const[]){"--core-fd=3", NULL}), 0);
	assert_int_equal(options.core_fd, 3);
	assert_int_equal(options.log_fd, 2);
	assert_string_equal(options.seccomp, "true");
	assert_int_equal(options.uid_base, UID_RANGE_DEFAULT_BASE);
	assert_int_equal(options.allow_missing, 0);
	assert_null(options.worker_folder);
}

static void every_option_is_taken(void **state)
{
	struct broker_options options;

	(void)state;
	assert_int_equal(
		parse(&options, (const char *const[]){"--core-fd=3", "--log-fd=4", "--log-level=3",
						      "--log-json", "--vm-name=a", "--seccomp=log",
						      "--uid-range=1000:64",
						      "--allow-missing=landlock", NULL}),
		0);
	assert_int_equal(options.log_fd, 4);
	assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
	assert_true(options.log_json);
	assert_string_equal(options.vm_name, "a");
	assert_string_equal(options.seccomp, "log");
	assert_int_equal(options.uid_base, 1000);
	assert_int_equal(options.uid_count, 64);
	assert_int_equal(options.allow_missing, 1U << SANDBOX_LANDLOCK);
}

static void without_a_core_there_is_no_broker(void **state)
{
	struct broker_options options;

	(void)state;
	assert_int_equal(parse(&options, (const char *const[]){"--log-fd=2", NULL}), -EINVAL);
}

static void nonsense_is_refused(void **state)
{
	static const char *const bad[] = {
		"--core-fd=x",		 "--core-fd=-1",    "--core-fd=3x",    "--core-fd=99999",
		"--log-level=4",	 "--seccomp=maybe", "--uid-range=0:1", "--unknown",
		"--allow-missing=walls", "an-argument",
	};
	struct broker_options options;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse(&options, (const char *const[]){"--core-fd=3", bad[i], NULL}) <
			    0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold_where_nothing_is_said),
		cmocka_unit_test(every_option_is_taken),
		cmocka_unit_test(without_a_core_there_is_no_broker),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
