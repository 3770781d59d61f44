/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/process_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both closed by exec. */
#define PROGRAM_FD    6
#define BROKER_PIDFD  7
#define FIRST_FREE_FD 8

/*
 * Copies of all, above the numbers that they shall get, so that none overwrites another. Everything
 * else goes at once: a child that held the broker's ends of the sockets would wait for a broker
 * that was killed meanwhile, and keep the core from noticing.
 */
static int child_place_fds(const struct process_recipe *recipe, int launch_fd, struct error *err)
{
	bool has_broker_fd = recipe->broker_fd >= 0;
	const int first_closed = has_broker_fd ? PROGRAM_FD : SANDBOX_BROKER_FD;
	const int sources[FIRST_FREE_FD] = {
		recipe->null_fd,    recipe->null_fd,
		recipe->log_fd,	    recipe->core_fd,
		launch_fd,	    has_broker_fd ? recipe->broker_fd : recipe->null_fd,
		recipe->program_fd, recipe->broker_pidfd};
	int copies[FIRST_FREE_FD];

	for (int i = 0; i < FIRST_FREE_FD; i++) {
		copies[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
		if (copies[i] < 0)
			return error_set_errno(err, -errno, "duplicate fd %d", sources[i]);
	}
	for (int i = 0; i < FIRST_FREE_FD; i++)
		if (dup3(copies[i], i, i >= first_closed ? O_CLOEXEC : 0) < 0)
			return error_set_errno(err, -errno, "place fd %d", i);
	if (syscall(SYS_close_range, FIRST_FREE_FD, ~0U, 0) != 0)
		return error_set_errno(err, -errno, "close_range");
	return 0;
}

/*
 * The broker ignores and blocks signals; a new process shall not, but for those that tell what the
 * failing call tells as well: a guest could end its device by them.
 */
static void child_reset_signals(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int signal = 1; signal < NSIG; signal++)
		(void)sigaction(signal, &action, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGXFSZ, &ignore, NULL);
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

/*
 * SIGKILL when the broker goes, also over exec. Last, because a change of ids takes it back.
 * Whether the broker went before is seen by its pidfd only: of its sockets, a process that was
 * started at the same time may still hold copies.
 */
static int child_die_with_broker(struct error *err)
{
	struct pollfd broker = {.fd = BROKER_PIDFD, .events = POLLIN};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return error_set_errno(err, -errno, "PR_SET_PDEATHSIG");
	if (poll(&broker, 1, 0) != 0)
		return error_set(err, -ECONNRESET, "the broker is gone");
	return 0;
}

/*
 * No setsid(): the broker's session has no terminal, and who leads none cannot take one. The log
 * may well be a terminal.
 */
static int child_exec(const struct process_recipe *recipe, int launch_fd, bool has_namespaces,
		      struct error *err)
{
	char *const no_environment[] = {NULL};
	int rc = child_place_fds(recipe, launch_fd, err);

	child_reset_signals();
	if (rc == 0)
		rc = child_wait_for_maps(err);
	if (rc == 0)
		rc = child_become(recipe, has_namespaces, err);
	if (rc == 0)
		rc = child_die_with_broker(err);
	if (rc != 0)
		return rc;
	syscall(SYS_execveat, PROGRAM_FD, "", recipe->arguments, no_environment, AT_EMPTY_PATH);
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
