/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshot directories through the broker, which opens every file of them
 * (vmm/broker/snapshot_directory.h). One directory at a time. Loop thread.
 */
#ifndef BULKHEAD_VMM_CORE_WORKERS_BROKER_SNAPSHOT_H
#define BULKHEAD_VMM_CORE_WORKERS_BROKER_SNAPSHOT_H

#include <stdbool.h>

#include "vmm/core/workers/broker_client.h"

/* Declare path and begin to write (create) or to read it. Synchronous. */
int broker_snapshot_open(struct broker_client *broker, const char *path, bool create,
			 struct error *err);

/* A file of it: a new one, or an existing one. *fd is the caller's. Synchronous. */
int broker_snapshot_file(struct broker_client *broker, const char *name, int *fd,
			 struct error *err);

/*
 * Several existing ones at once, for one wait instead of one for each. fds[i] is the caller's, or
 * -1 for what could not be opened: ask for it alone to learn why. At most
 * BROKER_SNAPSHOT_MAX_FILES.
 */
#define BROKER_SNAPSHOT_MAX_FILES 56
void broker_snapshot_files(struct broker_client *broker, const char *const *names, unsigned count,
			   int *fds);

/* The commit point. done runs once later unless the call fails. */
int broker_snapshot_commit(struct broker_client *broker, channel_reply_fn done, void *opaque,
			   struct error *err);

/* Let go of it; what was written without a commit is removed. Synchronous. */
int broker_snapshot_close(struct broker_client *broker, struct error *err);

#endif
