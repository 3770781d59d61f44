/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what the sandbox stands on (docs/SANDBOX.md): required unless a stage is given up by
 * name. */
#include "vmm/core/host/host_kernel.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LANDLOCK_RULESET_VERSION 1U

/* errno of leaving for namespaces of our own, 0 if it went well. In a child, which ends with it. */
static int try_namespaces(int flags)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return errno;
	if (child == 0)
		_exit(unshare(flags) < 0 ? errno : 0);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static void check_namespaces(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "namespaces", true);
	int error = try_namespaces(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC |
				   CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP);

	if (!error) {
		host_check_ok(check, "user, pid, mount, ipc, uts, net, cgroup");
		return;
	}
	host_check_missing(check, "new namespaces: %s", strerror(error));
	host_check_advise(check, "allow user namespaces (user.max_user_namespaces, "
				 "kernel.unprivileged_userns_clone, "
				 "kernel.apparmor_restrict_unprivileged_userns)");
}

static void check_landlock(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "landlock", true);
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_RULESET_VERSION);

	if (abi > 0) {
		host_check_ok(check, "ABI %ld", abi);
		return;
	}
	host_check_missing(check, "Landlock: %s", strerror(errno));
	host_check_advise(check, "%s, or give it up with --allow-missing-sandbox landlock",
			  errno == EOPNOTSUPP ? "add landlock to the kernel's lsm= parameter"
					      : "use Linux 5.13 or newer with Landlock built in");
}

static void check_seccomp(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "seccomp", true);
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
		host_check_ok(check, "filters, with notification of violations");
		return;
	}
	host_check_missing(check, "user notification: %s", strerror(errno));
	host_check_advise(check, "use Linux 5.0 or newer with seccomp filters built in, or do "
				 "without with --seccomp false");
}

void host_check_sandbox(struct host_report *report)
{
	check_namespaces(report);
	check_landlock(report);
	check_seccomp(report);
}
