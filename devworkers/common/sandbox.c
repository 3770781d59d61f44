/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of a process that the broker started. Stages, in order:
 *
 *   before exec, by the broker (vmm/broker/process_child.c)
 *     1. namespaces      new user, pid, mount, ipc, uts, net and cgroup namespaces by clone3()
 *     2. ids             inner uid and gid 0 are one unprivileged uid and gid outside; no groups
 *   here
 *     3. (die with the broker)  SIGKILL when it goes
 *     4. root            an empty, read-only root; the old one is detached
 *     5. capabilities    every set empty, the bounding set too
 *     6. no-new-privileges  and not dumpable
 *     7. limits          fds, threads, private memory, file size; no core files
 *     8. fds             everything but what was handed over is closed
 *     9. landlock        nothing allowed
 *        …               the device prepares what the last stage would forbid (io_uring, threads)
 *    10. seccomp         the allow-list of its kind, on all threads
 *
 * A stage that is not to be had is an error that names it, unless the operator allowed by name that
 * it is missing; then it is reported as missing.
 */
#include "devworkers/common/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devworkers/common/sandbox_stages.h"
#include "ipc/cleanup.h"

#define DEFAULT_MAX_FDS		  256
#define DEFAULT_MAX_THREADS	  64
#define DEFAULT_MAX_PRIVATE_BYTES (256ULL << 20)
#define MAX_EXTRA_KEEP_FDS	  48

static const char *const stage_names[SANDBOX_STAGE_COUNT] = {
	[SANDBOX_NAMESPACES] = "namespaces",
	[SANDBOX_ROOT] = "root",
	[SANDBOX_IDS] = "ids",
	[SANDBOX_CAPABILITIES] = "capabilities",
	[SANDBOX_NO_NEW_PRIVILEGES] = "no-new-privileges",
	[SANDBOX_LIMITS] = "limits",
	[SANDBOX_FDS] = "fds",
	[SANDBOX_LANDLOCK] = "landlock",
	[SANDBOX_SECCOMP] = "seccomp",
};

const char *sandbox_stage_name(unsigned stage)
{
	return stage < SANDBOX_STAGE_COUNT ? stage_names[stage] : "?";
}

int sandbox_stages_parse(const char *list, uint32_t *stages, struct error *err)
{
	*stages = 0;
	while (*list) {
		size_t length = strcspn(list, ",");
		unsigned stage = 0;

		while (stage < SANDBOX_STAGE_COUNT &&
		       (strncmp(stage_names[stage], list, length) != 0 ||
			stage_names[stage][length]))
			stage++;
		if (stage == SANDBOX_STAGE_COUNT)
			return error_set(err, -EINVAL, "no sandbox stage is called \"%.*s\"",
					 (int)length, list);
		*stages |= 1U << stage;
		list += length;
		if (*list == ',')
			list++;
	}
	return 0;
}

int sandbox_stage_missing(enum sandbox_stage stage, uint32_t allow_missing, uint32_t *missing,
			  struct error *err)
{
	if (allow_missing & (1U << stage)) {
		*missing |= 1U << stage;
		return 0;
	}
	return error_prefix(err, "sandbox stage \"%s\"", stage_names[stage]);
}

/*
 * SIGKILL when the broker goes. It is outside our pid namespace, so that getppid() cannot tell
 * whether it went before this call; its end of the launch socket can.
 */
static int sandbox_die_with_broker(struct error *err)
{
	struct pollfd launch = {.fd = SANDBOX_LAUNCH_FD, .events = POLLIN};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return error_set_errno(err, -errno, "PR_SET_PDEATHSIG");
	if (poll(&launch, 1, 0) < 0 || (launch.revents & (POLLHUP | POLLNVAL)))
		return error_set(err, -ECONNRESET, "the broker is gone");
	return 0;
}

/*
 * Never touch mounts unless the broker says, and our pid shows, that the namespaces are new: a
 * worker started by hand would take the host's root away.
 */
static int sandbox_check_namespaces(const struct sandbox_launch *launch, struct error *err)
{
	static const char host_name[] = "bulkhead";

	if (!launch->has_namespaces || getpid() != 1)
		return error_set(err, -EPERM, "not started in new namespaces");
	if (sethostname(host_name, strlen(host_name)) != 0)
		return error_set_errno(err, -errno, "forget the host's name");
	return 0;
}

/* Inner root is nobody outside; without namespaces, simply not root. */
static int sandbox_check_ids(const struct sandbox_launch *launch, struct error *err)
{
	uid_t real, effective, saved;
	gid_t real_gid, effective_gid, saved_gid;

	if (getresuid(&real, &effective, &saved) != 0 ||
	    getresgid(&real_gid, &effective_gid, &saved_gid) != 0)
		return error_set_errno(err, -errno, "read ids");
	if (real != effective || real != saved || real_gid != effective_gid ||
	    real_gid != saved_gid)
		return error_set(err, -EPERM, "ids differ");
	if (!launch->has_namespaces && real == 0)
		return error_set(err, -EPERM, "still root");
	return 0;
}

static int sandbox_enter_limits(const struct sandbox_options *options, struct error *err)
{
	struct sandbox_limits limits = {
		.file_size_bytes =
			options->max_file_size_bytes ? options->max_file_size_bytes : RLIM_INFINITY,
		.fds = options->max_fds ? options->max_fds : DEFAULT_MAX_FDS,
		.threads = options->max_threads ? options->max_threads : DEFAULT_MAX_THREADS,
		.private_bytes = options->max_private_bytes ? options->max_private_bytes
							    : DEFAULT_MAX_PRIVATE_BYTES,
	};

	return sandbox_stage_limits(&limits, err);
}

static int sandbox_enter_fds(const struct sandbox_options *options, struct error *err)
{
	int keep[MAX_EXTRA_KEEP_FDS + 5] = {0, 1, SANDBOX_LOG_FD, SANDBOX_CORE_FD,
					    SANDBOX_LAUNCH_FD};

	if (options->keep_fd_count > MAX_EXTRA_KEEP_FDS)
		return error_set(err, -E2BIG, "too many fds to keep");
	if (options->keep_fd_count)
		memcpy(keep + 5, options->keep_fds, options->keep_fd_count * sizeof(int));
	return sandbox_stage_fds(keep, 5 + options->keep_fd_count, err);
}

int sandbox_enter(const struct sandbox_options *options, const struct sandbox_launch *launch,
		  uint32_t *missing, struct error *err)
{
	uint32_t allow = launch->allow_missing;
	int rc = sandbox_die_with_broker(err);

	*missing = 0;
	/* exec from an fd leaves the fd's number as the process's name on older kernels. */
	(void)prctl(PR_SET_NAME, program_invocation_short_name, 0, 0, 0);
	if (rc == 0 && sandbox_check_namespaces(launch, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_NAMESPACES, allow, missing, err);
	if (rc == 0 && sandbox_check_ids(launch, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_IDS, allow, missing, err);
	if (rc == 0 && (*missing & (1U << SANDBOX_NAMESPACES))) {
		(void)error_set(err, -EPERM, "there is no mount namespace to change");
		rc = sandbox_stage_missing(SANDBOX_ROOT, allow, missing, err);
	} else if (rc == 0 && sandbox_stage_root(err) != 0) {
		rc = sandbox_stage_missing(SANDBOX_ROOT, allow, missing, err);
	}
	if (rc == 0 && (sandbox_stage_bounding_set(err) || sandbox_stage_capabilities(err)))
		rc = sandbox_stage_missing(SANDBOX_CAPABILITIES, allow, missing, err);
	if (rc == 0 && sandbox_stage_no_new_privileges(err) != 0)
		rc = sandbox_stage_missing(SANDBOX_NO_NEW_PRIVILEGES, allow, missing, err);
	if (rc == 0 && sandbox_enter_limits(options, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_LIMITS, allow, missing, err);
	if (rc == 0 && sandbox_enter_fds(options, err) != 0)
		rc = sandbox_stage_missing(SANDBOX_FDS, allow, missing, err);
	if (rc == 0 && sandbox_stage_landlock(err) != 0)
		rc = sandbox_stage_missing(SANDBOX_LANDLOCK, allow, missing, err);
	return rc;
}

int sandbox_lock(const struct sandbox_options *options, int *listener_fd, struct error *err)
{
	return sandbox_install_filter(options->policy, options->seccomp_mode,
				      SANDBOX_FILTER_PROCESS, listener_fd, err);
}
