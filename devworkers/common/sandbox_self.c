/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of a process that nobody can start in new namespaces: the core, the main process.
 * Stages, in order: namespaces (as root without a user namespace; otherwise in one), root, ids,
 * capabilities, no-new-privileges, limits, fds, landlock. seccomp comes per thread.
 */
#include "devworkers/common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "devworkers/common/sandbox_stages.h"
#include "ipc/cleanup.h"

#define DEFAULT_MAX_FDS 1024

static int self_write(const char *path, const char *text, struct error *err)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return error_set_errno(err, -errno, "write %s", path);
	return 0;
}

/* An ordinary user's namespace: our own uid and gid, and no way to change groups. */
static int self_map_ids(uid_t uid, gid_t gid, struct error *err)
{
	char line[64];
	int rc = self_write("/proc/self/setgroups", "deny", err);

	(void)snprintf(line, sizeof(line), "%u %u 1\n", uid, uid);
	if (rc == 0)
		rc = self_write("/proc/self/uid_map", line, err);
	(void)snprintf(line, sizeof(line), "%u %u 1\n", gid, gid);
	if (rc == 0)
		rc = self_write("/proc/self/gid_map", line, err);
	return rc;
}

static int self_enter_namespaces(const struct sandbox_self_options *options, struct error *err)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (!options->drop_ids)
		flags |= CLONE_NEWUSER;
	if (unshare(flags) != 0)
		return error_set_errno(err, -errno, "unshare");
	return options->drop_ids ? 0 : self_map_ids(uid, gid, err);
}

static int self_drop_ids(const struct sandbox_self_options *options, struct error *err)
{
	if (!options->drop_ids)
		return geteuid() == 0 ? error_set(err, -EPERM, "still root") : 0;
	if (setgroups(0, NULL) != 0)
		return error_set_errno(err, -errno, "setgroups");
	if (setresgid(options->gid, options->gid, options->gid) != 0)
		return error_set_errno(err, -errno, "become gid %u", options->gid);
	if (setresuid(options->uid, options->uid, options->uid) != 0)
		return error_set_errno(err, -errno, "become uid %u", options->uid);
	return 0;
}

static int self_close_fds(const struct sandbox_self_options *options, struct error *err)
{
	int keep[64] = {0, 1, 2};

	if (options->keep_all_fds)
		return 0;
	if (options->keep_fd_count > 61)
		return error_set(err, -E2BIG, "too many fds to keep");
	if (options->keep_fd_count)
		memcpy(keep + 3, options->keep_fds, options->keep_fd_count * sizeof(int));
	return sandbox_stage_fds(keep, 3 + options->keep_fd_count, err);
}

int sandbox_leave_host(const struct sandbox_self_options *options, uint32_t *missing,
		       struct error *err)
{
	uint32_t allow = options->allow_missing;
	int rc = 0;

	if (self_enter_namespaces(options, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_NAMESPACES, allow, missing, err);
	if (rc == 0 && (*missing & (1U << SANDBOX_NAMESPACES))) {
		(void)error_set(err, -EPERM, "there is no mount namespace to change");
		rc = sandbox_stage_missing(SANDBOX_ROOT, allow, missing, err);
	} else if (rc == 0 && sandbox_stage_root(err) != 0) {
		rc = sandbox_stage_missing(SANDBOX_ROOT, allow, missing, err);
	}
	if (rc == 0 && sandbox_stage_bounding_set(err) != 0)
		rc = sandbox_stage_missing(SANDBOX_CAPABILITIES, allow, missing, err);
	return rc;
}

int sandbox_give_up_rights(const struct sandbox_self_options *options, uint32_t *missing,
			   struct error *err)
{
	const struct sandbox_limits limits = {
		.file_size_bytes = RLIM_INFINITY,
		.fds = options->max_fds ? options->max_fds : DEFAULT_MAX_FDS,
		.threads = RLIM_INFINITY,
		.private_bytes = RLIM_INFINITY,
	};
	uint32_t allow = options->allow_missing;
	int rc = 0;

	/* Its root is the cgroup that we are in now. */
	if (!(*missing & (1U << SANDBOX_NAMESPACES)) && unshare(CLONE_NEWCGROUP) != 0) {
		(void)error_set_errno(err, -errno, "unshare the cgroup namespace");
		rc = sandbox_stage_missing(SANDBOX_NAMESPACES, allow, missing, err);
	}
	if (rc == 0 && self_drop_ids(options, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_IDS, allow, missing, err);
	if (rc == 0 && sandbox_stage_capabilities(err) != 0)
		rc = sandbox_stage_missing(SANDBOX_CAPABILITIES, allow, missing, err);
	if (rc == 0 && sandbox_stage_no_new_privileges(err) != 0)
		rc = sandbox_stage_missing(SANDBOX_NO_NEW_PRIVILEGES, allow, missing, err);
	if (rc == 0 && sandbox_stage_limits(&limits, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_LIMITS, allow, missing, err);
	if (rc == 0 && self_close_fds(options, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_FDS, allow, missing, err);
	if (rc == 0 && sandbox_stage_landlock(err) != 0)
		rc = sandbox_stage_missing(SANDBOX_LANDLOCK, allow, missing, err);
	return rc;
}

int sandbox_enter_self(const struct sandbox_self_options *options, uint32_t *missing,
		       struct error *err)
{
	int rc;

	*missing = 0;
	rc = sandbox_leave_host(options, missing, err);
	return rc == 0 ? sandbox_give_up_rights(options, missing, err) : rc;
}
