/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a device worker as the broker does (devworkers/common/sandbox.h): new namespaces, one
 * unprivileged id, two sockets, the launch packet, the report. For tests and benchmarks, so that
 * they need no broker. Works as root and as an ordinary user.
 */
#ifndef BULKHEAD_TESTS_DEVWORKERS_COMMON_WORKER_LAUNCHER_H
#define BULKHEAD_TESTS_DEVWORKERS_COMMON_WORKER_LAUNCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/error.h"

struct launched_worker {
	pid_t pid;	  /* 0: none */
	int core_fd;	  /* our end of its socket to the core */
	int listener_fd;  /* where forbidden system calls are told; -1 */
	uint32_t missing; /* sandbox stages that are not in force */
};

struct launch_options {
	const char *program; /* path */
	const char *seccomp; /* "true", "log" or "false"; NULL: true */
	unsigned log_level;  /* 0 to 3 */
};

/*
 * Start options->program. On failure nothing is left behind and err holds what the worker reported.
 * fds are owned by the caller.
 */
int worker_launch(const struct launch_options *options, struct launched_worker *worker,
		  struct error *err);

/* -1: none; otherwise the number of the forbidden system call that the worker waits in. */
int worker_launch_violation(const struct launched_worker *worker);

/* Wait at most timeout_ms for its end, then kill it. Returns the status of waitpid(). */
int worker_launch_reap(struct launched_worker *worker, unsigned timeout_ms);

#endif
