/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/broker/process_child.h"

#define NEW_NAMESPACES                                                                             \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)

static int process_file_write(pid_t pid, const char *name, const char *text, struct error *err)
{
	char path[64];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return error_set_errno(err, -errno, "sandbox stage \"ids\": write %s \"%s\"", path,
				       text);
	return 0;
}

static int process_write_maps(pid_t pid, const struct process_recipe *recipe, struct error *err)
{
	char line[32];
	int rc = 0;

	/* Without this an ordinary user may not write a gid map (user_namespaces(7)). */
	if (!recipe->map_ids)
		rc = process_file_write(pid, "setgroups", "deny", err);
	(void)snprintf(line, sizeof(line), "0 %u 1", recipe->uid);
	if (rc == 0)
		rc = process_file_write(pid, "uid_map", line, err);
	(void)snprintf(line, sizeof(line), "0 %u 1", recipe->gid);
	if (rc == 0)
		rc = process_file_write(pid, "gid_map", line, err);
	return rc;
}

static pid_t process_clone(struct process *process, const struct process_recipe *recipe,
			   uint64_t namespaces)
{
	struct clone_args arguments = {
		.flags = namespaces | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&process->pidfd,
		.exit_signal = SIGCHLD,
	};

	if (recipe->cgroup_fd >= 0) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = (uint64_t)recipe->cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static int process_clone_error(int code, struct error *err)
{
	if (code != -EPERM && code != -ENOSPC && code != -EUSERS)
		return error_set_errno(err, code, "sandbox stage \"namespaces\": clone3");
	return error_set_errno(err, code,
			       "sandbox stage \"namespaces\": this host lets us make no user "
			       "namespaces (see sysctl user.max_user_namespaces)");
}

/* Let the child go on, and tell the program that it becomes how it was started. */
static int process_launch(const struct process *process, const struct process_recipe *recipe,
			  bool has_namespaces, struct error *err)
{
	const struct sandbox_launch launch = {
		.version = SANDBOX_PROTOCOL_VERSION,
		.allow_missing = recipe->allow_missing,
		.has_namespaces = has_namespaces,
	};

	if (send(process->launch_fd, "g", 1, MSG_NOSIGNAL) != 1 ||
	    send(process->launch_fd, &launch, sizeof(launch), MSG_NOSIGNAL) !=
		    (ssize_t)sizeof(launch))
		return error_set_errno(err, -errno, "launch %s", recipe->program);
	return 0;
}

static int process_socketpair(int ends[2], struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return error_set_errno(err, -errno, "launch socket");
	return 0;
}

/* A child that cannot be used: it holds nothing yet, so that waiting for its end is short. */
static void process_discard(struct process *process)
{
	siginfo_t info;

	(void)syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED) != 0 && errno == EINTR)
		;
	process_forget(process);
}

int process_open_log(struct process *process, int *write_fd, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0)
		return error_set_errno(err, -errno, "log pipe");
	process->log_fd = ends[0];
	*write_fd = ends[1];
	return 0;
}

int process_start(struct process *process, const struct process_recipe *recipe, struct error *err)
{
	bool has_namespaces = true;
	int ends[2] = {-1, -1};
	int rc = process_socketpair(ends, err);

	if (rc != 0)
		return rc;
	process->pidfd = process->listener_fd = -1;
	process->launch_fd = ends[0];
	process->pid = process_clone(process, recipe, NEW_NAMESPACES);
	if (process->pid < 0 && (recipe->allow_missing & (1U << SANDBOX_NAMESPACES))) {
		has_namespaces = false;
		process->pid = process_clone(process, recipe, 0);
	}
	if (process->pid == 0)
		process_child_run(recipe, ends[1], has_namespaces);
	rc = -errno;
	close(ends[1]);
	if (process->pid < 0) {
		process_forget(process);
		return process_clone_error(rc, err);
	}
	process->uid = recipe->uid;
	process->gid = recipe->gid;
	process->state = PROCESS_STARTING;
	rc = has_namespaces ? process_write_maps(process->pid, recipe, err) : 0;
	if (rc == 0)
		rc = process_launch(process, recipe, has_namespaces, err);
	if (rc != 0)
		process_discard(process);
	return rc;
}

int process_receive_report(struct process *process, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct sandbox_report report = {0};
	struct iovec part = {.iov_base = &report, .iov_len = sizeof(report)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(process->launch_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	const struct cmsghdr *header;

	/* It ended without having read what we sent; what it said before is still there. */
	if (got < 0 && errno == ECONNRESET)
		got = recvmsg(process->launch_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	fd_close(&process->launch_fd);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&process->listener_fd, CMSG_DATA(header), sizeof(int));
	if (got <= 0)
		return error_set(err, -ECONNRESET, "ended before its sandbox was closed");
	if (got != (ssize_t)sizeof(report) || report.version != SANDBOX_PROTOCOL_VERSION ||
	    (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return error_set(err, -EPROTO, "is of another version");
	report.message[sizeof(report.message) - 1] = '\0';
	if (report.error != 0)
		return error_set(err, report.error < 0 ? report.error : -EPROTO, "%s",
				 report.message);
	process->missing = report.missing;
	process->state = PROCESS_RUNNING;
	return 0;
}

int process_receive_violation(struct process *process)
{
	/* Room for a later kernel's longer structure. It must be zero. */
	union {
		struct seccomp_notif notification;
		char room[512];
	} buffer = {.room = {0}};
	struct pollfd listener = {.fd = process->listener_fd, .events = POLLIN};

	/* The ioctl waits when there is nothing, and the whole VM would wait with the broker. */
	if (poll(&listener, 1, 0) < 1)
		return -EAGAIN;
	if (!(listener.revents & POLLIN))
		return -ENOTCONN;
	if (ioctl(process->listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &buffer.notification) != 0)
		return -errno;
	return buffer.notification.data.nr;
}

void process_kill(struct process *process, uint64_t deadline_ms)
{
	if (process->state == PROCESS_ENDING)
		return;
	(void)syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
	process->state = PROCESS_ENDING;
	process->deadline_ms = deadline_ms;
	/* Only now: a thread that waits for our verdict would go on once the listener is closed. */
	fd_close(&process->listener_fd);
	fd_close(&process->launch_fd);
}

bool process_reap(struct process *process, int *status, int *signal)
{
	siginfo_t info = {0};

	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) != 0 ||
	    info.si_pid == 0)
		return false;
	*status = info.si_code == CLD_EXITED ? info.si_status : 0;
	*signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
	return true;
}

void process_forget(struct process *process)
{
	fd_close(&process->pidfd);
	fd_close(&process->launch_fd);
	fd_close(&process->listener_fd);
	fd_close(&process->log_fd);
	process->state = PROCESS_NONE;
}
