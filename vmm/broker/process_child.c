/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/process_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_FREE_FD 5

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* Copies of all, above the numbers that they shall get, so that none overwrites another. */
static int child_place_fds(const struct process_recipe *recipe, int launch_fd, struct error *err)
{
	const int sources[FIRST_FREE_FD] = {recipe->null_fd, recipe->null_fd, recipe->log_fd,
					    recipe->core_fd, launch_fd};
	int copies[FIRST_FREE_FD];

	for (int i = 0; i < FIRST_FREE_FD; i++) {
		copies[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
		if (copies[i] < 0)
			return error_set_errno(err, -errno, "duplicate fd %d", sources[i]);
	}
	for (int i = 0; i < FIRST_FREE_FD; i++)
		if (dup2(copies[i], i) < 0)
			return error_set_errno(err, -errno, "place fd %d", i);
	return 0;
}

/* The broker ignores and blocks signals; a new process shall not. */
static void child_reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int signal = 1; signal < NSIG; signal++)
		(void)sigaction(signal, &action, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_wait_for_maps(struct error *err)
{
	char go;

	if (recv(SANDBOX_LAUNCH_FD, &go, sizeof(go), 0) != sizeof(go))
		return error_set(err, -ECONNRESET, "the broker is gone");
	return 0;
}

/*
 * Before exec, because exec takes all capabilities from a process whose uid is not the namespace's
 * root. The host's own group list means nothing in a user namespace, but is dropped all the same
 * where that is allowed, which is not so for an ordinary user.
 */
static int child_become(const struct process_recipe *recipe, bool has_namespaces, struct error *err)
{
	uid_t uid = has_namespaces ? 0 : recipe->uid;
	gid_t gid = has_namespaces ? 0 : recipe->gid;

	if (recipe->map_ids && setgroups(0, NULL) != 0)
		return error_set_errno(err, -errno, "sandbox stage \"ids\": setgroups");
	if (setresgid(gid, gid, gid) != 0)
		return error_set_errno(err, -errno, "sandbox stage \"ids\": setresgid");
	if (setresuid(uid, uid, uid) != 0)
		return error_set_errno(err, -errno, "sandbox stage \"ids\": setresuid");
	return 0;
}

static int child_exec(const struct process_recipe *recipe, int launch_fd, bool has_namespaces,
		      struct error *err)
{
	char *const no_environment[] = {NULL};
	int rc = child_place_fds(recipe, launch_fd, err);

	child_reset_signals();
	(void)setsid(); /* a terminal that is the log must not be the controlling one */
	if (rc == 0)
		rc = child_wait_for_maps(err);
	if (rc == 0)
		rc = child_become(recipe, has_namespaces, err);
	if (rc != 0)
		return rc;
	if (syscall(SYS_close_range, FIRST_FREE_FD, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
		return error_set_errno(err, -errno, "close_range");
	syscall(SYS_execveat, recipe->program_fd, "", recipe->arguments, no_environment,
		AT_EMPTY_PATH);
	return error_set_errno(err, -errno, "exec %s", recipe->program);
}

void process_child_run(const struct process_recipe *recipe, int launch_fd, bool has_namespaces)
{
	struct error err = ERROR_INIT;
	struct sandbox_report report = {.version = SANDBOX_PROTOCOL_VERSION};

	report.error = child_exec(recipe, launch_fd, has_namespaces, &err);
	(void)snprintf(report.message, sizeof(report.message), "%s", err.message);
	(void)send(SANDBOX_LAUNCH_FD, &report, sizeof(report), MSG_NOSIGNAL);
	_exit(127);
}
