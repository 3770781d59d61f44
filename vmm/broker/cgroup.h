/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's cgroup, where cgroup v2 offers controllers and its tree is ours to change:
 *
 *   HOME/bulkhead-PID/core        the core and the broker
 *   HOME/bulkhead-PID/blk-root    a worker each, with a limit on its number of tasks
 *
 * HOME is the cgroup that the operator started us in. A process may not stay in a cgroup that hands
 * controllers on (cgroup-v2, "no internal processes"), which is why core and broker move. All is
 * removed at the end; the two move back to HOME.
 */
#ifndef BULKHEAD_VMM_BROKER_CGROUP_H
#define BULKHEAD_VMM_BROKER_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ipc/error.h"

struct vm_cgroup {
	int home_fd; /* directory of HOME; -1: there is no cgroup */
	int vm_fd;   /* directory of the VM's */
	pid_t core_pid;
	bool home_enabled;   /* controllers were switched on in HOME by us */
	char name[32];	     /* "bulkhead-PID" */
	char path[PATH_MAX]; /* below the cgroup2 mount */
};

#define VM_CGROUP_INIT                                                                             \
	{                                                                                          \
		.home_fd = -1, .vm_fd = -1                                                         \
	}

/*
 * Make the VM's cgroup and move core_pid and ourselves there. Fails, leaving nothing behind, where
 * cgroup v2 is not mounted, has no controllers or is not ours: err says which.
 */
int vm_cgroup_create(struct vm_cgroup *cgroup, pid_t core_pid, struct error *err);

/* The same below an open directory (taken on success) of which path is the name. For tests too. */
int vm_cgroup_create_at(struct vm_cgroup *cgroup, int home_fd, const char *path, pid_t core_pid,
			struct error *err);

/*
 * A child for one worker: its name goes to name (size bytes), an fd of it is returned, to be closed
 * by the caller; -1 with name "" when there is no cgroup or it cannot be made.
 */
int vm_cgroup_add(struct vm_cgroup *cgroup, const char *kind, const char *device_id, char *name,
		  size_t size);

/* Remove a worker's child; "" is accepted. */
void vm_cgroup_remove(struct vm_cgroup *cgroup, const char *name);

/* Remove everything. Children must be empty. Accepts one that was never made. */
void vm_cgroup_destroy(struct vm_cgroup *cgroup);

#endif
