/* SPDX-License-Identifier: Apache-2.0 */
/* The policy compiler as the build runs it: what it accepts, and how it says what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"

struct compilation {
	int status;
	char message[512];
	char folder[64];
	char header[128];
};

static void compile(struct compilation *result, const char *policy)
{
	const char *build = getenv("BULKHEAD_BUILD");
	char path[128], command[512];
	FILE *file;

	scratch_folder_make("policy", result->folder, sizeof(result->folder));
	(void)snprintf(path, sizeof(path), "%s/policy-role.seccomp", result->folder);
	(void)snprintf(result->header, sizeof(result->header), "%s/out.h", result->folder);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(policy, file);
	(void)fclose(file);
	(void)snprintf(command, sizeof(command), "%s/host/policy-compiler %s %s 2>&1",
		       build ? build : "build", path, result->header);
	file = popen(command, "r");
	assert_non_null(file);
	result->message[fread(result->message, 1, sizeof(result->message) - 1, file)] = '\0';
	result->status = pclose(file);
}

static void compilation_clean(const struct compilation *result)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/policy-role.seccomp", result->folder);
	(void)unlink(path);
	(void)unlink(result->header);
	assert_int_equal(rmdir(result->folder), 0);
}

static void assert_refused(const char *policy, const char *message)
{
	struct compilation result;
	bool found;

	compile(&result, policy);
	found = strstr(result.message, message) != NULL;
	if (!found)
		print_message("%s", result.message);
	compilation_clean(&result);
	assert_true(found);
	assert_int_equal(WEXITSTATUS(result.status), 1);
}

static void a_line_without_a_reason_is_refused(void **state)
{
	(void)state;
	assert_refused("include common\nread\n", "policy-role.seccomp:2: \"read\" has no reason");
	assert_refused("read #  \n", "policy-role.seccomp:1: \"read\" has no reason");
}

static void an_unknown_system_call_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("# first\n\nraed # why\n",
		       "policy-role.seccomp:3: unknown system call \"raed\"");
}

static void a_system_call_of_other_architectures_is_refused(void **state)
{
	(void)state;
	assert_refused("socketcall # why\n", "no system call \"socketcall\" on this architecture");
}

static void unknown_names_in_limits_are_refused(void **state)
{
	(void)state;
	assert_refused("mmap prot==PROT_EVERYTHING # why\n", "unknown value \"PROT_EVERYTHING\"");
	assert_refused("mmap port==0 # why\n", "\"mmap\" has no argument \"port\"");
	assert_refused("mmap prot # why\n", "no comparison in \"prot\"");
}

static void a_limit_that_can_never_hold_is_refused(void **state)
{
	(void)state;
	assert_refused("mmap prot&PROT_READ==PROT_WRITE # why\n", "can never hold");
}

static void a_missing_include_is_refused(void **state)
{
	(void)state;
	assert_refused("include nothing\n", "devworkers/common/nothing.seccomp: No such file");
}

static void a_good_policy_gives_a_header_named_after_folder_and_role(void **state)
{
	struct compilation result;
	char text[4096] = "", name[80];
	FILE *header;
	char *at;

	(void)state;
	compile(&result, "include common\nioctl request==BLKSSZGET arg2!=0 # why\n");
	header = fopen(result.header, "r");
	if (header) {
		text[fread(text, 1, sizeof(text) - 1, header)] = '\0';
		(void)fclose(header);
	}
	(void)snprintf(name, sizeof(name), "%s_role_filter[]", strrchr(result.folder, '/') + 1);
	for (at = name; *at; at++)
		if (*at == '-')
			*at = '_';
	compilation_clean(&result);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(text, name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_without_a_reason_is_refused),
		cmocka_unit_test(an_unknown_system_call_is_refused_with_its_line),
		cmocka_unit_test(a_system_call_of_other_architectures_is_refused),
		cmocka_unit_test(unknown_names_in_limits_are_refused),
		cmocka_unit_test(a_limit_that_can_never_hold_is_refused),
		cmocka_unit_test(a_missing_include_is_refused),
		cmocka_unit_test(a_good_policy_gives_a_header_named_after_folder_and_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
