/* SPDX-License-Identifier: Apache-2.0 */
/* Sandbox stages: capabilities, no_new_privs, resource limits, fds. */
#include "devworkers/common/sandbox_stages.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_KEEP_FDS 64

int sandbox_stage_bounding_set(struct error *err)
{
	/* Up to the last capability that this kernel knows, which may be more than our headers do.
	 */
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
	     capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
			return error_set_errno(err, -errno, "drop from the bounding set");
	return 0;
}

int sandbox_stage_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return error_set_errno(err, -errno, "clear the ambient set");
	if (syscall(SYS_capset, &header, none) != 0)
		return error_set_errno(err, -errno, "capset");
	return 0;
}

int sandbox_stage_no_new_privileges(struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return error_set_errno(err, -errno, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return error_set_errno(err, -errno, "not dumpable");
	return 0;
}

/* Lower soft and hard limit to value; a lower hard limit that was inherited stays. */
static int limit_set(enum __rlimit_resource resource, rlim_t value, struct error *err)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0)
		return error_set_errno(err, -errno, "getrlimit");
	if (value > limit.rlim_max)
		value = limit.rlim_max;
	limit.rlim_cur = limit.rlim_max = value;
	if (setrlimit(resource, &limit) != 0)
		return error_set_errno(err, -errno, "setrlimit");
	return 0;
}

int sandbox_stage_limits(const struct sandbox_limits *limits, struct error *err)
{
	int rc = limit_set(RLIMIT_CORE, 0, err);

	if (rc == 0)
		rc = limit_set(RLIMIT_NOFILE, limits->fds, err);
	if (rc == 0)
		rc = limit_set(RLIMIT_FSIZE, limits->file_size_bytes, err);
	if (rc == 0 && limits->threads != RLIM_INFINITY)
		rc = limit_set(RLIMIT_NPROC, limits->threads, err);
#ifndef BULKHEAD_SANITIZE /* shadow memory counts as private memory */
	if (rc == 0 && limits->private_bytes != RLIM_INFINITY)
		rc = limit_set(RLIMIT_DATA, limits->private_bytes, err);
#endif
	if (rc == 0)
		rc = limit_set(RLIMIT_MSGQUEUE, 0, err);
	return rc;
}

static int fd_compare(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

static int fds_close_between(unsigned first, unsigned last, struct error *err)
{
	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return 0;
	return error_set_errno(err, -errno, "close_range");
}

int sandbox_stage_fds(const int *keep, size_t keep_count, struct error *err)
{
	int sorted[MAX_KEEP_FDS];
	unsigned next = 0;

	if (keep_count > MAX_KEEP_FDS)
		return error_set(err, -E2BIG, "too many fds to keep");
	memcpy(sorted, keep, keep_count * sizeof(*keep));
	qsort(sorted, keep_count, sizeof(*sorted), fd_compare);
	for (size_t i = 0; i < keep_count; i++) {
		unsigned fd = (unsigned)sorted[i];

		if (fd > next && fds_close_between(next, fd - 1, err) != 0)
			return -EBADF;
		if (fd >= next)
			next = fd + 1;
	}
	return fds_close_between(next, ~0U, err);
}
