/* SPDX-License-Identifier: Apache-2.0 */
/* What the core gives up by itself, as root and as an ordinary user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devworkers/common/sandbox.h"
#include "tests/devworkers/common/child_process.h"

#define TEST_ID 1879048190U

static ino_t namespace_inode(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? status.st_ino : 0;
}

/* Checks that hold however it was entered. 0, or the number of the check that failed. */
static int check_closed_in(int kept_fd)
{
	if (open("/etc/passwd", O_RDONLY) >= 0)
		return 10;
	if (access("/proc", F_OK) == 0)
		return 11;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 12;
	if (fcntl(kept_fd, F_GETFD) < 0)
		return 13;
	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 0)
			return 14;
	if (setresuid(0, 0, 0) == 0 && geteuid() == 0)
		return 15;
	return 0;
}

static int enter_as_root(void *opaque)
{
	int kept = open("/proc/self/ns/net", O_RDONLY), other = open("/dev/null", O_RDONLY);
	struct sandbox_self_options options = {
		.drop_ids = true,
		.uid = TEST_ID,
		.gid = TEST_ID + 1,
		.keep_fds = &kept,
		.keep_fd_count = 1,
	};
	struct error err = ERROR_INIT;
	uint32_t missing;
	gid_t groups[4];

	(void)opaque;
	if (sandbox_enter_self(&options, &missing, &err) != 0) {
		printf("%s\n", err.message);
		return 1;
	}
	if (missing || getuid() != TEST_ID || getegid() != TEST_ID + 1)
		return 2;
	if (getgroups(4, groups) != 0 || fcntl(other, F_GETFD) >= 0)
		return 3;
	return check_closed_in(kept);
}

static void root_becomes_the_given_ids_and_sees_nothing(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		printf("skip: not root\n");
		skip();
	}
	assert_int_equal(child_run(enter_as_root, NULL), 0);
}

static int enter_as_user(void *opaque)
{
	struct sandbox_self_options options = {.keep_all_fds = true};
	ino_t host_user = namespace_inode("/proc/self/ns/user");
	int self = open("/proc/self/ns", O_PATH | O_DIRECTORY);
	struct error err = ERROR_INIT;
	uint32_t missing;
	uid_t uid;

	(void)opaque;
	if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(TEST_ID, TEST_ID, TEST_ID) ||
			       setresuid(TEST_ID, TEST_ID, TEST_ID)))
		return 1;
	/* Changing ids has made us non-dumpable, which an ordinary user's process is not. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	uid = getuid();
	if (sandbox_enter_self(&options, &missing, &err) != 0) {
		printf("%s\n", err.message);
		return 2;
	}
	if (missing || getuid() != uid || host_user == 0)
		return 3;
	return check_closed_in(self);
}

static void an_ordinary_user_is_closed_in_through_a_user_namespace(void **state)
{
	(void)state;
	if (!child_can_have_namespaces()) {
		printf("skip: no user namespaces\n");
		skip();
	}
	assert_int_equal(child_run(enter_as_user, NULL), 0);
}

static int enter_as_user_still_root(void *opaque)
{
	struct sandbox_self_options options = {.keep_all_fds = true};
	struct error err = ERROR_INIT;
	uint32_t missing;

	(void)opaque;
	return sandbox_enter_self(&options, &missing, &err) < 0 &&
			       strstr(err.message, "sandbox stage \"ids\"")
		       ? 0
		       : 1;
}

static void staying_root_is_refused_by_the_ids_stage(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		printf("skip: not root\n");
		skip();
	}
	assert_int_equal(child_run(enter_as_user_still_root, NULL), 0);
}

static int enter_without_a_broker(void *opaque)
{
	const struct sandbox_options options = {.seccomp_mode = SANDBOX_SECCOMP_OFF};
	const struct sandbox_launch launch = {.version = SANDBOX_PROTOCOL_VERSION,
					      .has_namespaces = 1};
	struct error err = ERROR_INIT;
	uint32_t missing;
	int ends[2];

	(void)opaque;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0 || fcntl(ends[1], F_DUPFD, 10) < 0 ||
	    dup2(ends[0], SANDBOX_LAUNCH_FD) < 0)
		return 1;
	/* Whatever the packet says, a process that is not the first of its pid namespace must not
	 * touch the mounts that it sees. */
	if (sandbox_enter(&options, &launch, &missing, &err) != -EPERM)
		return 2;
	return strstr(err.message, "not started in new namespaces") &&
			       access("/proc/self", F_OK) == 0
		       ? 0
		       : 3;
}

static void a_worker_started_by_hand_leaves_the_hosts_mounts_alone(void **state)
{
	(void)state;
	assert_int_equal(child_run(enter_without_a_broker, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_becomes_the_given_ids_and_sees_nothing),
		cmocka_unit_test(an_ordinary_user_is_closed_in_through_a_user_namespace),
		cmocka_unit_test(staying_root_is_refused_by_the_ids_stage),
		cmocka_unit_test(a_worker_started_by_hand_leaves_the_hosts_mounts_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
