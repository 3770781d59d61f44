/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker: the one process of a VM that opens paths and starts processes. One object, one
 * thread.
 *
 * CONFIGURING -> SEALED -> STOPPING -> STOPPED. It stops when it is told to or when the core is
 * gone, whichever way; then no process, socket or cgroup that it made is left.
 */
#ifndef BULKHEAD_VMM_BROKER_BROKER_H
#define BULKHEAD_VMM_BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/error.h"
#include "vmm/broker/cgroup.h"
#include "vmm/broker/gateway_channel.h"
#include "vmm/broker/kinds.h"
#include "vmm/broker/options.h"
#include "vmm/broker/process.h"
#include "vmm/broker/resource.h"
#include "vmm/broker/snapshot_directory.h"
#include "vmm/broker/uid_slot.h"

#define BROKER_MAX_PROCESSES 64
#define BROKER_START_MS	     10000 /* a process has this long to close its sandbox */
#define BROKER_END_MS	     5000  /* and this long to die of SIGKILL */

enum broker_state {
	BROKER_CONFIGURING, /* legal: every request */
	BROKER_SEALED, /* legal: all; DECLARE of the core's only after a RESTORE that was asked for
			*/
	BROKER_STOPPING, /* legal: nothing; processes are being reaped */
	BROKER_STOPPED,	 /* the loop ends */
};

struct broker {
	const struct broker_options *options;
	enum broker_state state;
	struct channel *channel;	 /* to the core */
	struct gateway_channel *gateway; /* to the gateway that runs; NULL: none */
	bool restore_asked_for; /* the core may declare once: what the snapshot's configuration
				   names */
	bool core_gone;
	bool shutdown_asked; /* SHUTDOWN waits for its answer: */
	uint32_t shutdown_request_id;
	uint64_t stop_deadline_ms;
	int null_fd;
	int own_pidfd; /* processes see by it that the broker is gone */
	bool root;     /* ids are given out */
	struct kind_table kinds;
	struct uid_slot uids;
	struct vm_cgroup cgroup;
	struct resource_table resources;
	struct snapshot_directory snapshot; /* the one in use */
	struct process processes[BROKER_MAX_PROCESSES];
};

/*
 * Everything that must be had before the first request. options is borrowed. On failure
 * broker_destroy() is still to be called.
 */
int broker_init(struct broker *broker, const struct broker_options *options, struct error *err);

/* Serve until STOPPED. */
void broker_run(struct broker *broker);

/* Unlink sockets, remove cgroups, give ids back. Accepts a half-built object. */
void broker_destroy(struct broker *broker);

/* Begin to stop: kill every process. Harmless when it has begun. */
void broker_stop(struct broker *broker);

/* ---- requests.c: what the core asks ---- */
extern const struct channel_row broker_rows[];
extern const size_t broker_row_count;
/* DECLARE, whoever sent it and was allowed to. */
int broker_declare_all(struct broker *broker, const Bulkhead__Broker__Declare *request,
		       struct error *err);
unsigned broker_channel_state(void *owner); /* for legal_states: enum broker_state */

/* ---- spawn.c: processes, from start to reaping ---- */

/* SPAWN. The answer comes when the process has reported. err: it could not be started. */
int broker_spawn(struct broker *broker, const char *kind, const char *device_id, bool helper,
		 int core_fd, uint32_t request_id, struct error *err);

/* A uid of this VM's that no living process has: they are given out in turn, and VMs come and go.
 */
int broker_choose_uid(struct broker *broker, uint32_t *uid, struct error *err);
struct process *broker_find_process(struct broker *broker, int32_t pid);
void broker_on_report(struct broker *broker, struct process *process);
/* Pass on what it has said to the log, at most so many lines. */
void broker_on_log(struct process *process, unsigned most_lines);
void broker_on_violation(struct broker *broker, struct process *process);
void broker_on_exit(struct broker *broker, struct process *process);
void broker_check_deadlines(struct broker *broker, uint64_t now_ms);
bool broker_has_processes(const struct broker *broker);

#endif
