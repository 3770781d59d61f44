/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process that the broker started: a device worker or one of the VM's helpers.
 *
 * STARTING -> RUNNING -> ENDING -> (reaped), or STARTING -> ENDING when it fails or is late. All
 * functions belong to the broker's only thread; none of them waits.
 */
#ifndef BULKHEAD_VMM_BROKER_PROCESS_H
#define BULKHEAD_VMM_BROKER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "devworkers/common/sandbox.h"
#include "ipc/error.h"
#include "ipc/log.h"

#define PROCESS_DEVICE_ID_SIZE 64
#define PROCESS_CGROUP_SIZE    80

#define PROCESS_LOG_LINES     16   /* that its pipe holds */
#define PROCESS_LOG_LINE_SIZE 4096 /* PIPE_BUF */

enum process_state {
	PROCESS_NONE,	  /* the slot is free */
	PROCESS_STARTING, /* legal: its report, kill; the SPAWN request waits for an answer */
	PROCESS_RUNNING,  /* legal: a violation, kill */
	PROCESS_ENDING,	  /* SIGKILL was sent; legal: being reaped */
};

struct process {
	enum process_state state;
	pid_t pid;
	int pidfd;
	int launch_fd;	 /* STARTING: the broker's end; otherwise -1 */
	int listener_fd; /* RUNNING, seccomp enforced; otherwise -1 */
	int log_fd;	 /* the end of its log's pipe that is read; -1: it has closed the other */
	struct log_ratelimit log_limit;
	uint32_t uid, gid;
	char device_id[PROCESS_DEVICE_ID_SIZE];
	const char *kind;		  /* "blk", static */
	char cgroup[PROCESS_CGROUP_SIZE]; /* name below the VM's, "" for none */
	uint32_t spawn_request_id;
	bool announced;	      /* SPAWN was answered with success: its end is an event */
	uint64_t deadline_ms; /* STARTING: of the report. ENDING: of being gone */
	uint32_t missing;     /* sandbox stages */
};

/* What a new process is given. All fds are borrowed. */
struct process_recipe {
	int program_fd;
	const char *program; /* "bulkhead-blk" */
	char *const *arguments;
	int null_fd;   /* becomes 0 and 1 */
	int log_fd;    /* becomes 2 */
	int core_fd;   /* becomes 3 */
	int broker_fd; /* becomes 5: the process's own channel to us; -1: it has none */
	int broker_pidfd;
	bool map_ids; /* started by root: uid and gid are mapped; otherwise our own */
	uint32_t uid, gid;
	int cgroup_fd; /* O_PATH directory of cgroup2; -1: stay in ours */
	uint32_t allow_missing;
};

/*
 * The pipe that becomes its log: a line is one packet (pipe(2), O_DIRECT). Nobody waits at either
 * end. *write_fd is the caller's.
 */
int process_open_log(struct process *process, int *write_fd, struct error *err);

/*
 * Start a process in new namespaces; fills state (STARTING), pid, pidfd, launch_fd, uid, gid of
 * *process. On failure nothing is left behind and err says what the kernel refused.
 */
int process_start(struct process *process, const struct process_recipe *recipe, struct error *err);

/*
 * Its launch socket is readable: take the report. 0: it is RUNNING now; an error: what it said, or
 * that it is gone; it is then to be killed.
 */
int process_receive_report(struct process *process, struct error *err);

/* Its listener is readable: number of the forbidden call, or a negative errno (it is gone again).
 */
int process_receive_violation(struct process *process);

/* SIGKILL, once. The pid namespace dies with it. */
void process_kill(struct process *process, uint64_t deadline_ms);

/* True when it has ended and is reaped; *status and *signal as in Exited. */
bool process_reap(struct process *process, int *status, int *signal);

/* Close fds and free the slot. */
void process_forget(struct process *process);

#endif
