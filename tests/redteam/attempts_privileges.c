/* SPDX-License-Identifier: Apache-2.0 */
/* Getting back what was given up: ids, capabilities, limits, the filter itself. */
#include "tests/redteam/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct __user_cap_header_struct own_capabilities = {.version = _LINUX_CAPABILITY_VERSION_3};
static struct __user_cap_data_struct all_capabilities[2] = {{~0U, ~0U, 0}, {0x1ffU, 0x1ffU, 0}};
static gid_t group_zero[1] = {0};
static struct rlimit many_files = {1U << 20, 1U << 20};
static struct sched_param realtime = {.sched_priority = 1};
static struct sock_filter allow_all = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
static struct sock_fprog permissive = {1, &allow_all};
static struct sigaction handler = {.sa_handler = SIG_IGN};

/* Where the broker listened while we started. */
static long talk_to_broker(const struct order *order)
{
	(void)order;
	return write(4, "x", 1) < 0 ? -errno : 0;
}

static long find_inherited_fds(const struct order *order)
{
	unsigned found = 0;

	/* 0 to 3 are meant to be there; the hostile worker itself opens nothing, its device's
	 * preparation at most a ring and an eventfd. */
	(void)order;
	for (int fd = 4; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			found++;
	return found > 2 ? (long)found : -EBADF;
}

const struct attempt attempts_privileges[] = {
	CALL("setresuid to another", BY_FILTER, setresuid, 1000, 1000, 1000),
	CALL("setgroups", BY_FILTER, setgroups, 1, POINTER(group_zero)),
	CALL("setresgid to another", BY_FILTER, setresgid, 5, 5, 5),
	CALL("capset of everything", BY_FILTER, capset, POINTER(&own_capabilities),
	     POINTER(all_capabilities)),
	CALL("ambient capabilities", BY_FILTER, prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE,
	     CAP_SYS_ADMIN, 0, 0),
	CALL("securebits", BY_FILTER, prctl, PR_SET_SECUREBITS, 0, 0, 0, 0),
	CALL("no_new_privs off", BY_FILTER, prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0),
	CALL("dumpable again", BY_FILTER_ONLY, prctl, PR_SET_DUMPABLE, 1, 0, 0, 0),
	CALL("live on without the parent", BY_FILTER_ONLY, prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0),
	CALL("any process may trace", BY_FILTER_ONLY, prctl, PR_SET_PTRACER, -1, 0, 0, 0),
	CALL("another seccomp filter", BY_FILTER_ONLY, seccomp, SECCOMP_SET_MODE_FILTER,
	     SECCOMP_FILTER_FLAG_NEW_LISTENER, POINTER(&permissive)),
	CALL("seccomp strict mode", BY_FILTER_ONLY, prctl, PR_SET_SECCOMP, 1, 0, 0, 0),
	CALL("raise the limit of fds", BY_FILTER, setrlimit, RLIMIT_NOFILE, POINTER(&many_files)),
	CALL("real-time scheduling", BY_FILTER, sched_setscheduler, 0, SCHED_FIFO,
	     POINTER(&realtime)),
	CALL("ignore SIGSYS", BY_FILTER_ONLY, rt_sigaction, SIGSYS, POINTER(&handler), 0, 8),
	CALL("ignore SIGTERM", BY_FILTER_ONLY, rt_sigaction, SIGTERM, POINTER(&handler), 0, 8),
	RUN("talk to the broker", BY_KERNEL, talk_to_broker),
	RUN("find inherited fds", BY_KERNEL, find_inherited_fds),
	{0},
};
