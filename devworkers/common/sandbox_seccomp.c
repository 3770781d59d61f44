/* SPDX-License-Identifier: Apache-2.0 */
/* Sandbox stage: seccomp filters that the policy compiler made at build time. */
#include "devworkers/common/sandbox.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#ifdef BULKHEAD_SANITIZE
/*
 * The leak checker stops the world with calls that no policy allows. It asks this before it runs,
 * at exit: not in a process with a filter.
 */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
}
#endif

static bool filter_returns(const struct sock_fprog *policy, uint32_t action)
{
	for (unsigned i = 0; i < policy->len; i++)
		if (policy->filter[i].code == (BPF_RET | BPF_K) && policy->filter[i].k == action)
			return true;
	return false;
}

/* A copy of policy whose default action only logs. Freed by the caller; NULL: no memory. */
static struct sock_filter *filter_copy_logging(const struct sock_fprog *policy)
{
	uint32_t denied = filter_returns(policy, SECCOMP_RET_USER_NOTIF) ? SECCOMP_RET_USER_NOTIF
									 : SECCOMP_RET_KILL_PROCESS;
	struct sock_filter *copy = malloc(policy->len * sizeof(*copy));

	if (!copy)
		return NULL;
	memcpy(copy, policy->filter, policy->len * sizeof(*copy));
	for (unsigned i = 0; i < policy->len; i++)
		if (copy[i].code == (BPF_RET | BPF_K) && copy[i].k == denied)
			copy[i].k = SECCOMP_RET_LOG;
	return copy;
}

static int filter_load(const struct sock_fprog *program, enum sandbox_filter_scope scope,
		       int *listener_fd, struct error *err)
{
	unsigned flags = 0;
	long rc;

	if (scope == SANDBOX_FILTER_PROCESS)
		flags |= SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	if (listener_fd)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
	if (rc < 0 && errno == ESRCH)
		return error_set(err, -ESRCH, "a thread has a filter of its own");
	if (rc < 0)
		return error_set_errno(err, -errno, "install the filter");
	if (listener_fd)
		*listener_fd = (int)rc;
	return 0;
}

int sandbox_install_filter(const struct sock_fprog *policy, enum sandbox_seccomp_mode mode,
			   enum sandbox_filter_scope scope, int *listener_fd, struct error *err)
{
	cleanup_free struct sock_filter *logging = NULL;
	struct sock_fprog program = *policy;

	if (listener_fd)
		*listener_fd = -1;
	if (mode == SANDBOX_SECCOMP_OFF)
		return 0;
	if (mode == SANDBOX_SECCOMP_ENFORCE) {
		bool notifies = filter_returns(policy, SECCOMP_RET_USER_NOTIF);

		/* Without a listener the kernel would answer ENOSYS and nobody would know. */
		if (notifies && !listener_fd)
			return error_set(err, -EINVAL, "the policy wants a listener");
		return filter_load(&program, scope, notifies ? listener_fd : NULL, err);
	}
	logging = filter_copy_logging(policy);
	if (!logging)
		return error_set_errno(err, -ENOMEM, "copy the filter");
	program.filter = logging;
	return filter_load(&program, scope, NULL, err);
}
