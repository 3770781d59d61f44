/* SPDX-License-Identifier: Apache-2.0 */
/* The stages one by one, each in a process of its own. The child's exit status names the line that
 * failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devworkers/common/sandbox_stages.h"
#include "tests/devworkers/common/child_process.h"

/* In a child: leave with a status that says which check failed. */
#define CHECK(number, condition)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return number;                                                             \
	} while (0)

static int root_is_empty(void *opaque)
{
	struct error err = ERROR_INIT;
	DIR *root;
	int entries = 0;

	(void)opaque;
	CHECK(1, sandbox_stage_root(&err) == 0);
	root = opendir("/");
	CHECK(2, root);
	while (readdir(root))
		entries++;
	closedir(root);
	CHECK(3, entries == 2); /* . and .. */
	CHECK(4, open("/x", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
	CHECK(5, mkdir("/x", 0700) < 0 && errno == EROFS);
	CHECK(6, access("/../etc", F_OK) < 0 && errno == ENOENT);
	CHECK(7, access("/proc", F_OK) < 0);
	return 0;
}

static void root_stage_leaves_an_empty_read_only_root(void **state)
{
	(void)state;
	if (!child_can_have_namespaces()) {
		printf("skip: no user namespaces\n");
		skip();
	}
	assert_int_equal(child_run_in_namespaces(root_is_empty, NULL), 0);
}

static int capabilities_are_gone(void *opaque)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	struct error err = ERROR_INIT;

	(void)opaque;
	CHECK(1, sandbox_stage_bounding_set(&err) == 0);
	CHECK(2, sandbox_stage_capabilities(&err) == 0);
	CHECK(3, syscall(SYS_capget, &header, sets) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(4, !sets[i].effective && !sets[i].permitted && !sets[i].inheritable);
	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		CHECK(5, prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 0);
	CHECK(6, mount("x", "/", "tmpfs", 0, NULL) < 0 && errno == EPERM);
	return 0;
}

static void capability_stage_empties_every_set(void **state)
{
	(void)state;
	if (!child_can_have_namespaces()) {
		printf("skip: no user namespaces\n");
		skip();
	}
	assert_int_equal(child_run_in_namespaces(capabilities_are_gone, NULL), 0);
}

static int privileges_cannot_be_gained(void *opaque)
{
	struct error err = ERROR_INIT;

	(void)opaque;
	CHECK(1, sandbox_stage_no_new_privileges(&err) == 0);
	CHECK(2, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(3, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	return 0;
}

static void no_new_privileges_stage_is_set_and_the_process_is_not_dumpable(void **state)
{
	(void)state;
	assert_int_equal(child_run(privileges_cannot_be_gained, NULL), 0);
}

static int limits_hold(void *opaque)
{
	const struct sandbox_limits limits = {
		.file_size_bytes = 4096, .fds = 8, .threads = 7, .private_bytes = 64U << 20};
	struct error err = ERROR_INIT;
	struct rlimit limit;

	(void)opaque;
	CHECK(1, sandbox_stage_limits(&limits, &err) == 0);
	CHECK(2, getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	CHECK(3, getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == 8);
	CHECK(4, getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_max == 4096);
	CHECK(5, getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_max == 7);
	CHECK(6, fcntl(0, F_DUPFD, 8) < 0 && errno == EINVAL);
	return 0;
}

static void limits_stage_lowers_soft_and_hard_limits(void **state)
{
	(void)state;
	assert_int_equal(child_run(limits_hold, NULL), 0);
}

static int only_kept_fds_are_open(void *opaque)
{
	const int keep[] = {20, 0, 2, 1, 20, 9};
	struct error err = ERROR_INIT;

	(void)opaque;
	for (int fd = 3; fd < 40; fd++)
		CHECK(1, dup2(1, fd) == fd);
	CHECK(2, sandbox_stage_fds(keep, sizeof(keep) / sizeof(keep[0]), &err) == 0);
	for (int fd = 0; fd < 64; fd++) {
		bool kept = fd <= 2 || fd == 9 || fd == 20;

		CHECK(3, (fcntl(fd, F_GETFD) >= 0) == kept);
	}
	return 0;
}

static void fds_stage_closes_all_but_the_kept_ones(void **state)
{
	(void)state;
	assert_int_equal(child_run(only_kept_fds_are_open, NULL), 0);
}

static int landlock_denies(void *opaque)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct error err = ERROR_INIT;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1U);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)opaque;
	CHECK(1, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(2, sandbox_stage_landlock(&err) == 0);
	CHECK(3, open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	CHECK(4, open("/tmp", O_TMPFILE | O_WRONLY, 0600) < 0 && errno == EACCES);
	CHECK(5, opendir("/") == NULL && errno == EACCES);
	if (abi >= 4 && fd >= 0)
		CHECK(6, bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
				 errno == EACCES);
	if (abi >= 6)
		CHECK(7, kill(getppid(), 0) < 0 && errno == EPERM);
	return 0;
}

static void landlock_stage_denies_files_sockets_and_signals(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1U) < 0) {
		printf("skip: no Landlock\n");
		skip();
	}
	assert_int_equal(child_run(landlock_denies, NULL), 0);
}

static void a_missing_stage_is_an_error_that_names_it(void **state)
{
	struct error err = ERROR_INIT;
	uint32_t missing = 0;

	(void)state;
	(void)error_set(&err, -EPERM, "no");
	assert_int_equal(sandbox_stage_missing(SANDBOX_LANDLOCK, 0, &missing, &err), -EPERM);
	assert_string_equal(err.message, "sandbox stage \"landlock\": no");
	assert_int_equal(missing, 0);
}

static void a_stage_may_be_missing_when_that_was_asked_for(void **state)
{
	struct error err = ERROR_INIT;
	uint32_t missing = 0;

	(void)state;
	(void)error_set(&err, -EPERM, "no");
	assert_int_equal(
		sandbox_stage_missing(SANDBOX_LANDLOCK, 1U << SANDBOX_LANDLOCK, &missing, &err), 0);
	assert_int_equal(missing, 1U << SANDBOX_LANDLOCK);
}

static void stages_are_parsed_by_name(void **state)
{
	struct error err = ERROR_INIT;
	uint32_t stages;

	(void)state;
	assert_int_equal(sandbox_stages_parse("landlock,namespaces", &stages, &err), 0);
	assert_int_equal(stages, 1U << SANDBOX_LANDLOCK | 1U << SANDBOX_NAMESPACES);
	assert_int_equal(sandbox_stages_parse("", &stages, &err), 0);
	assert_int_equal(stages, 0);
	assert_int_equal(sandbox_stages_parse("landloc", &stages, &err), -EINVAL);
	assert_string_equal(err.message, "no sandbox stage is called \"landloc\"");
	assert_int_equal(sandbox_stages_parse("root,,ids", &stages, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_stage_leaves_an_empty_read_only_root),
		cmocka_unit_test(capability_stage_empties_every_set),
		cmocka_unit_test(no_new_privileges_stage_is_set_and_the_process_is_not_dumpable),
		cmocka_unit_test(limits_stage_lowers_soft_and_hard_limits),
		cmocka_unit_test(fds_stage_closes_all_but_the_kept_ones),
		cmocka_unit_test(landlock_stage_denies_files_sockets_and_signals),
		cmocka_unit_test(a_missing_stage_is_an_error_that_names_it),
		cmocka_unit_test(a_stage_may_be_missing_when_that_was_asked_for),
		cmocka_unit_test(stages_are_parsed_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
