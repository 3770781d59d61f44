/* SPDX-License-Identifier: Apache-2.0 */
/* Starting processes, and reaching others: the driver stands for the core. */
#include "tests/redteam/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct clone_args new_user_process = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
static char *no_arguments[] = {NULL};
static char buffer[64];
static struct iovec local_part = {buffer, sizeof(buffer)}, remote_part = {buffer, sizeof(buffer)};

/* A program written into memory and run. Only the filter stands in the way: a script finds no
 * interpreter, but a whole program would need none. */
static long run_from_memory(const struct order *order)
{
	static const char script[] = "#!/bin/sh\n";
	int fd = memfd_create("program", 0);

	(void)order;
	if (fd < 0 || write(fd, script, sizeof(script) - 1) < 0)
		return -errno;
	return attempt_call(SYS_execveat, fd, POINTER(""), POINTER(no_arguments),
			    POINTER(no_arguments), AT_EMPTY_PATH, 0);
}

static long kill_core(const struct order *order)
{
	return attempt_call(SYS_kill, order->driver_pid, SIGTERM, 0, 0, 0, 0);
}

static long kill_broker(const struct order *order)
{
	return attempt_call(SYS_kill, order->broker_pid, SIGKILL, 0, 0, 0, 0);
}

static long abort_core(const struct order *order)
{
	return attempt_call(SYS_tgkill, order->driver_pid, order->driver_pid, SIGABRT, 0, 0, 0);
}

static long queue_signal(const struct order *order)
{
	siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};

	return attempt_call(SYS_rt_sigqueueinfo, order->driver_pid, SIGTERM, POINTER(&info), 0, 0,
			    0);
}

static long trace_core(const struct order *order)
{
	return attempt_call(SYS_ptrace, PTRACE_ATTACH, order->driver_pid, 0, 0, 0, 0);
}

static long trace_broker(const struct order *order)
{
	return attempt_call(SYS_ptrace, PTRACE_SEIZE, order->broker_pid, 0, 0, 0, 0);
}

static long read_core(const struct order *order)
{
	return attempt_call(SYS_process_vm_readv, order->driver_pid, POINTER(&local_part), 1,
			    POINTER(&remote_part), 1, 0);
}

static long write_core(const struct order *order)
{
	return attempt_call(SYS_process_vm_writev, order->driver_pid, POINTER(&local_part), 1,
			    POINTER(&remote_part), 1, 0);
}

static long open_core(const struct order *order)
{
	return attempt_call(SYS_pidfd_open, order->driver_pid, 0, 0, 0, 0, 0);
}

static long compare_with_core(const struct order *order)
{
	return attempt_call(SYS_kcmp, getpid(), order->driver_pid, 0, 0, 0, 0);
}

static long limit_core(const struct order *order)
{
	static const uint64_t none[2] = {0, 0};

	return attempt_call(SYS_prlimit64, order->driver_pid, 7, POINTER(none), 0, 0, 0);
}

static long own_by_core(const struct order *order)
{
	return attempt_call(SYS_fcntl, 3, F_SETOWN, order->driver_pid, 0, 0, 0);
}

const struct attempt attempts_processes[] = {
	CALL("fork", BY_FILTER_ONLY, fork, 0),
	CALL("vfork", BY_FILTER_ONLY, vfork, 0),
	CALL("clone of a thread", BY_FILTER_ONLY, clone,
	     CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS, 0),
	CALL("clone3 in a user namespace", BY_FILTER_ONLY, clone3, POINTER(&new_user_process),
	     sizeof(new_user_process)),
	CALL("execve /bin/sh", BY_FILTER, execve, POINTER("/bin/sh"), POINTER(no_arguments),
	     POINTER(no_arguments)),
	CALL("execve /proc/self/exe", BY_FILTER, execve, POINTER("/proc/self/exe"),
	     POINTER(no_arguments), POINTER(no_arguments)),
	RUN("memfd_create and execveat", BY_FILTER_ONLY, run_from_memory),
	RUN("kill the core", BY_FILTER, kill_core),
	RUN("kill the broker", BY_FILTER, kill_broker),
	RUN("tgkill the core with SIGABRT", BY_KERNEL, abort_core),
	RUN("rt_sigqueueinfo to the core", BY_FILTER, queue_signal),
	CALL("kill everything", BY_FILTER, kill, -1, SIGKILL),
	RUN("ptrace attach to the core", BY_FILTER, trace_core),
	RUN("ptrace seize the broker", BY_FILTER, trace_broker),
	CALL("ptrace traceme", BY_FILTER_ONLY, ptrace, PTRACE_TRACEME, 0, 0, 0),
	RUN("process_vm_readv of the core", BY_FILTER, read_core),
	RUN("process_vm_writev of the core", BY_FILTER, write_core),
	RUN("pidfd_open of the core", BY_FILTER, open_core),
	CALL("pidfd_getfd", BY_FILTER, pidfd_getfd, 3, 0, 0),
	RUN("kcmp with the core", BY_FILTER, compare_with_core),
	RUN("prlimit of the core", BY_FILTER, limit_core),
	RUN("signals of an fd to the core", BY_FILTER, own_by_core),
	CALL("wait4", BY_FILTER, wait4, -1, 0, 1, 0),
	CALL("setpgid", BY_FILTER_ONLY, setpgid, 0, 0),
	CALL("setns to an fd", BY_FILTER, setns, 3, 0),
	CALL("unshare a user namespace", BY_FILTER_ONLY, unshare, CLONE_NEWUSER),
	CALL("unshare a mount namespace", BY_FILTER, unshare, CLONE_NEWNS),
	CALL("sched_setaffinity", BY_FILTER_ONLY, sched_setaffinity, 0, sizeof(buffer),
	     POINTER(buffer)),
	CALL("setpriority -20", BY_FILTER, setpriority, 0, 0, -20),
	{0},
};
