/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process gives up everything it does not need. The ordered stages are listed at the top of
 * sandbox.c and in docs/SANDBOX.md. The process was started by the broker with clone3() in new
 * user, pid, mount, ipc, uts, net and cgroup namespaces, mapped to one unprivileged uid and gid,
 * parent-death signal to be set by the stages.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_SANDBOX_H
#define BULKHEAD_DEVWORKERS_COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/filter.h>

#include "ipc/error.h"

/* fds that the broker hands to every process it spawns. */
#define SANDBOX_CORE_FD 3 /* SOCK_SEQPACKET to the core */
#define SANDBOX_LAUNCH_FD                                                                          \
	4 /* SOCK_SEQPACKET to the broker: sandbox report (struct sandbox_report), then closed by  \
	     us */
#define SANDBOX_LOG_FD 2 /* standard error: the log */

enum sandbox_seccomp_mode {
	SANDBOX_SECCOMP_ENFORCE, /* a forbidden call ends the process; the broker reports which */
	SANDBOX_SECCOMP_LOG,	 /* the kernel logs it and goes on */
	SANDBOX_SECCOMP_OFF,
};

struct sandbox_options {
	const struct sock_fprog *policy;
	enum sandbox_seccomp_mode seccomp_mode;
	const int *keep_fds; /* besides 0..2, CORE and LAUNCH */
	size_t keep_fd_count;
	uint64_t max_file_size_bytes; /* RLIMIT_FSIZE; 0: RLIM_INFINITY (a disk) */
	uint32_t max_fds;	      /* RLIMIT_NOFILE */
};

/*
 * Enter every stage before seccomp (namespaces' contents, empty read-only root, ids, capabilities,
 * no_new_privs, rlimits, fds, Landlock). err names the stage that is not to be had.
 */
int sandbox_enter(const struct sandbox_options *options, struct error *err);

/*
 * Last stage: install the seccomp filter on all threads. In ENFORCE mode *listener_fd is the
 * user-notification fd on which the broker learns of violations (-1 otherwise).
 */
int sandbox_lock(const struct sandbox_options *options, int *listener_fd, struct error *err);

/*
 * Both, in the order a worker needs, and the report to the broker over SANDBOX_LAUNCH_FD: prepare
 * runs between them (io_uring, threads). On failure the report carries the error and the caller
 * exits.
 */
int sandbox_enter_and_report(const struct sandbox_options *options,
			     int (*prepare)(void *opaque, struct error *err), void *opaque,
			     struct error *err);

#endif
