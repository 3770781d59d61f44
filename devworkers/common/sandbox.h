/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process gives up everything it does not need. The ordered stages are listed at the top of
 * sandbox.c and explained in docs/SANDBOX.md.
 *
 * A worker or helper is started by the broker with clone3() in new user, pid, mount, ipc, uts, net
 * and cgroup namespaces, mapped to one unprivileged uid and gid, and calls
 * sandbox_enter_and_report(). The core is nobody's child and calls sandbox_enter_self(), then
 * sandbox_install_filter() on each thread.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_SANDBOX_H
#define BULKHEAD_DEVWORKERS_COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/filter.h>

#include "ipc/error.h"

/* fds that the broker hands to every process it spawns. */
#define SANDBOX_LOG_FD	  2 /* standard error: the log */
#define SANDBOX_CORE_FD	  3 /* SOCK_SEQPACKET to the core */
#define SANDBOX_BROKER_FD 5 /* SOCK_SEQPACKET to the broker: the gateway's only */
#define SANDBOX_LAUNCH_FD 4 /* SOCK_SEQPACKET to the broker: launch, report, then closed by us */

/* Stages that may be missing on a host. Bits of allow_missing and missing are 1 << stage. */
enum sandbox_stage {
	SANDBOX_NAMESPACES,
	SANDBOX_ROOT,
	SANDBOX_IDS,
	SANDBOX_CAPABILITIES,
	SANDBOX_NO_NEW_PRIVILEGES,
	SANDBOX_LIMITS,
	SANDBOX_FDS,
	SANDBOX_LANDLOCK,
	SANDBOX_SECCOMP,
	SANDBOX_STAGE_COUNT
};

/* "namespaces", "root", …; "?" for a number that is no stage. */
const char *sandbox_stage_name(unsigned stage);

/*
 * Parse "landlock,namespaces" into *stages, the bits of the stages named. -EINVAL with the unknown
 * name.
 */
int sandbox_stages_parse(const char *list, uint32_t *stages, struct error *err);

enum sandbox_seccomp_mode {
	SANDBOX_SECCOMP_ENFORCE, /* a forbidden call ends the process; the broker reports which */
	SANDBOX_SECCOMP_LOG,	 /* the kernel logs it and goes on */
	SANDBOX_SECCOMP_OFF,
};

/* The first packet on SANDBOX_LAUNCH_FD after exec, from the broker. */
#define SANDBOX_PROTOCOL_VERSION 1U
struct sandbox_launch {
	uint32_t version;
	uint32_t allow_missing;	 /* stages that may be missing, as asked for by name */
	uint32_t has_namespaces; /* 1: started in new namespaces */
};

/*
 * The only packet back. When error is 0 and seccomp is enforced, one fd travels beside it: the
 * listener.
 */
struct sandbox_report {
	uint32_t version;
	int32_t error;	  /* negative errno; 0: the sandbox is closed */
	uint32_t missing; /* stages that are not in force (allowed to be missing) */
	char message[ERROR_MESSAGE_SIZE];
};

struct sandbox_options {
	const struct sock_fprog *policy;
	enum sandbox_seccomp_mode seccomp_mode;
	const int *keep_fds; /* besides 0..2, CORE and LAUNCH */
	size_t keep_fd_count;
	uint64_t max_file_size_bytes; /* RLIMIT_FSIZE; 0: RLIM_INFINITY (a disk) */
	uint32_t max_fds;	      /* RLIMIT_NOFILE; 0: 256 */
	uint32_t max_threads;	      /* RLIMIT_NPROC, kernel threads of io_uring included; 0: 64 */
	uint64_t max_private_bytes;   /* RLIMIT_DATA; 0: 256 MiB */
};

/*
 * Enter every stage before seccomp. launch is what the broker sent; *missing receives the stages
 * that are allowed to be missing and are. err names the stage that is not to be had. Call while the
 * process has one thread.
 */
int sandbox_enter(const struct sandbox_options *options, const struct sandbox_launch *launch,
		  uint32_t *missing, struct error *err);

/*
 * Last stage: install the seccomp filter on all threads. In ENFORCE mode *listener_fd is the
 * user-notification fd on which the broker learns of violations (-1 otherwise); the caller owns it.
 */
int sandbox_lock(const struct sandbox_options *options, int *listener_fd, struct error *err);

/*
 * Both, in the order a worker needs, and the report to the broker over SANDBOX_LAUNCH_FD: prepare
 * (may be NULL) runs between them (io_uring, threads). On failure the report carries the error and
 * the caller exits. fds that prepare opened stay open.
 */
int sandbox_enter_and_report(const struct sandbox_options *options,
			     int (*prepare)(void *opaque, struct error *err), void *opaque,
			     struct error *err);

/* What an already running process (the core) gives up by itself. */
struct sandbox_self_options {
	bool drop_ids; /* root: become uid and gid; otherwise a user namespace is used */
	uid_t uid;
	gid_t gid;
	const int *keep_fds; /* besides 0..2 */
	size_t keep_fd_count;
	bool keep_all_fds;	/* close nothing: the caller knows what it opened */
	uint32_t max_fds;	/* 0: 1024 */
	uint32_t allow_missing; /* stages */
};

/*
 * Leave the host: namespaces (user when not root, mount, ipc, uts, net, cgroup; no pid namespace,
 * for that takes a fork), empty root, ids, capabilities, no_new_privs, limits, fds, Landlock. Must
 * run before the process has a second thread and after everything that needs a path. *missing as in
 * sandbox_enter().
 */
int sandbox_enter_self(const struct sandbox_self_options *options, uint32_t *missing,
		       struct error *err);

/*
 * The same in two halves: what needs no ids yet (namespaces but for cgroup, root, the bounding
 * set), for a process that waits for its ids anyway, and the rest. Both add to *missing, which is 0
 * before the first.
 */
int sandbox_leave_host(const struct sandbox_self_options *options, uint32_t *missing,
		       struct error *err);
int sandbox_give_up_rights(const struct sandbox_self_options *options, uint32_t *missing,
			   struct error *err);

enum sandbox_filter_scope {
	SANDBOX_FILTER_THREAD,	/* the calling thread only */
	SANDBOX_FILTER_PROCESS, /* every thread; fails if one already has another filter */
};

/*
 * Install one compiled policy. OFF does nothing; LOG replaces the policy's default action by
 * logging. listener_fd may be NULL for a policy with `default kill`; for one with `default notify`
 * in ENFORCE mode it receives the listener, owned by the caller.
 */
int sandbox_install_filter(const struct sock_fprog *policy, enum sandbox_seccomp_mode mode,
			   enum sandbox_filter_scope scope, int *listener_fd, struct error *err);

#endif
