/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/devworkers/common/worker_launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/sched.h>
#include <linux/seccomp.h>

#include "devworkers/common/sandbox.h"
#include "ipc/channel.h"
#include "ipc/cleanup.h"

#define LAUNCH_NAMESPACES                                                                          \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)
#define LAUNCH_TIMEOUT_MS 10000

/* An id that no process of a usual host has. */
#define LAUNCH_ROOT_UID 1879048191U

struct launch_fds {
	int program, worker_core, worker_launch,
		mapped; /* mapped: read end, EOF when ids are set */
};

static int write_text(pid_t pid, const char *name, const char *text)
{
	char path[64];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -errno;
	return 0;
}

static int map_ids(pid_t pid, struct error *err)
{
	uid_t uid = geteuid() == 0 ? LAUNCH_ROOT_UID : geteuid();
	gid_t gid = geteuid() == 0 ? LAUNCH_ROOT_UID : getegid();
	char text[32];
	int ret = 0;

	if (geteuid() != 0)
		ret = write_text(pid, "setgroups", "deny");
	(void)snprintf(text, sizeof(text), "0 %u 1", uid);
	if (ret == 0)
		ret = write_text(pid, "uid_map", text);
	(void)snprintf(text, sizeof(text), "0 %u 1", gid);
	if (ret == 0)
		ret = write_text(pid, "gid_map", text);
	return ret < 0 ? error_set_errno(err, ret, "map ids") : 0;
}

/* dup2() a set of fds onto 3 and 4 without one overwriting the other. */
static void place_fds(const struct launch_fds *fds)
{
	int core = fcntl(fds->worker_core, F_DUPFD, 64);
	int launch = fcntl(fds->worker_launch, F_DUPFD, 64);
	int null = open("/dev/null", O_RDWR);
	int program = fcntl(fds->program, F_DUPFD_CLOEXEC, 64);

	if (core < 0 || launch < 0 || null < 0 || program < 0)
		_exit(120);
	(void)dup2(null, 0);
	(void)dup2(null, 1);
	(void)dup2(core, SANDBOX_CORE_FD);
	(void)dup2(launch, SANDBOX_LAUNCH_FD);
	close(core);
	close(launch);
	(void)dup2(program, 5);
	(void)fcntl(5, F_SETFD, FD_CLOEXEC);
	close(program);
}

static void run_child(const struct launch_options *options, const struct launch_fds *fds)
{
	char seccomp[32], level[32];
	char name[32];
	char *argv[] = {name, seccomp, level, NULL};
	char *environment[] = {NULL};
	const char *base = strrchr(options->program, '/');
	char byte;

	(void)snprintf(name, sizeof(name), "%s", base ? base + 1 : options->program);
	(void)snprintf(seccomp, sizeof(seccomp), "--seccomp=%s",
		       options->seccomp ? options->seccomp : "true");
	(void)snprintf(level, sizeof(level), "--log-level=%u", options->log_level);
	while (read(fds->mapped, &byte, 1) > 0)
		;
	if (geteuid() != 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		_exit(121);
	place_fds(fds);
	(void)syscall(SYS_execveat, 5, "", argv, environment, AT_EMPTY_PATH);
	_exit(122);
}

static pid_t start_child(const struct launch_options *options, const struct launch_fds *fds,
			 int mapped_write)
{
	struct clone_args arguments = {.flags = LAUNCH_NAMESPACES, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));

	if (pid == 0) {
		close(mapped_write);
		run_child(options, fds);
	}
	return pid;
}

static int receive_report(int fd, struct launched_worker *worker, struct error *err)
{
	struct sandbox_report report;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {&report, sizeof(report)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct pollfd ready = {fd, POLLIN, 0};
	struct cmsghdr *header;

	if (poll(&ready, 1, LAUNCH_TIMEOUT_MS) != 1)
		return error_set(err, -ETIMEDOUT, "no report from the worker");
	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(report))
		return error_set(err, -ECONNRESET, "the worker ended before its report");
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&worker->listener_fd, CMSG_DATA(header), sizeof(int));
	worker->missing = report.missing;
	report.message[sizeof(report.message) - 1] = '\0';
	return report.error == 0 ? 0 : error_set(err, report.error, "%s", report.message);
}

static int introduce(pid_t pid, int launch_fd, int *mapped_write, struct error *err)
{
	const struct sandbox_launch launch = {.version = SANDBOX_PROTOCOL_VERSION,
					      .has_namespaces = 1};
	int ret = map_ids(pid, err);

	fd_close(mapped_write);
	if (ret < 0)
		return ret;
	if (send(launch_fd, &launch, sizeof(launch), MSG_NOSIGNAL) != (ssize_t)sizeof(launch))
		return error_set_errno(err, -errno, "launch packet");
	return 0;
}

int worker_launch(const struct launch_options *options, struct launched_worker *worker,
		  struct error *err)
{
	cleanup_fd int program = open(options->program, O_PATH | O_CLOEXEC);
	int core[2] = {-1, -1}, launch[2] = {-1, -1}, mapped[2] = {-1, -1};
	struct launch_fds fds;
	int ret;

	*worker = (struct launched_worker){.core_fd = -1, .listener_fd = -1};
	if (program < 0)
		return error_set_errno(err, -errno, "open %s", options->program);
	ret = channel_socketpair(core, err);
	if (ret == 0 && (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, launch) < 0 ||
			 pipe2(mapped, O_CLOEXEC) < 0))
		ret = error_set_errno(err, -errno, "sockets for the worker");
	if (ret == 0) {
		fds = (struct launch_fds){program, core[1], launch[1], mapped[0]};
		worker->pid = start_child(options, &fds, mapped[1]);
		if (worker->pid < 0)
			ret = error_set_errno(err, -errno, "start %s", options->program);
	}
	fd_close(&launch[1]);
	fd_close(&core[1]);
	if (ret == 0)
		ret = introduce(worker->pid, launch[0], &mapped[1], err);
	if (ret == 0)
		ret = receive_report(launch[0], worker, err);
	fd_close(&launch[0]);
	fd_close(&mapped[0]);
	fd_close(&mapped[1]);
	worker->core_fd = core[0];
	if (ret < 0) {
		fd_close(&worker->core_fd);
		(void)worker_launch_reap(worker, 0);
	}
	return ret;
}

int worker_launch_violation(const struct launched_worker *worker)
{
	struct pollfd ready = {worker->listener_fd, POLLIN, 0};
	struct seccomp_notif notification = {0};

	if (worker->listener_fd < 0 || poll(&ready, 1, 0) != 1 || !(ready.revents & POLLIN))
		return -1;
	if (ioctl(worker->listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &notification) < 0)
		return -1;
	return notification.data.nr;
}

int worker_launch_reap(struct launched_worker *worker, unsigned timeout_ms)
{
	const struct timespec tick = {.tv_nsec = 1000000};
	int status = 0;

	if (worker->pid > 0) {
		while (waitpid(worker->pid, &status, WNOHANG) == 0) {
			if (timeout_ms-- == 0) {
				(void)kill(worker->pid, SIGKILL);
				(void)waitpid(worker->pid, &status, 0);
				break;
			}
			nanosleep(&tick, NULL);
		}
	}
	worker->pid = 0;
	fd_close(&worker->listener_fd);
	return status;
}
