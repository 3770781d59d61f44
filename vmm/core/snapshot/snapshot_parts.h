/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a snapshot that is being taken, shared by snapshot.c (phases), snapshot_collect.c
 * (what it consists of) and snapshot_store.c (writing it).
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_PARTS_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_PARTS_H

#include <uv.h>

#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/memory_file.h"
#include "vmm/core/snapshot/snapshot.h"

#define SNAPSHOT_MAX_SMALL_FILES (2 + MANIFEST_MAX_VCPUS + MANIFEST_MAX_DEVICES)

/* A small file: packed on the loop thread, written on the pool's. */
struct snapshot_small_file {
	char name[80];
	uint8_t *data; /* owned, sealed with its checksum */
	size_t bytes;
	int fd;
};

struct snapshot_device {
	uint8_t *worker_state; /* owned */
	size_t worker_state_bytes;
	bool quiesced, late;
};

struct snapshot {
	struct vm *vm;
	struct snapshot_status *status; /* the VM's */
	char path[4096];
	uint64_t phase_started_ns;
	uv_timer_t timer;
	unsigned waiting; /* answers that are still to come */
	bool directory_open;
	bool waits_for_memory;	    /* that is restored on demand */
	struct error failure;	    /* the first one */
	struct error store_failure; /* of the pool's thread, until it is done */
	struct snapshot_device devices[VM_MAX_DEVICES];
	struct snapshot_small_file files[SNAPSHOT_MAX_SMALL_FILES];
	unsigned file_count;
	int memory_fds[GUEST_MEMORY_MAX_REGIONS];
	int manifest_fd;
	Bulkhead__Snapshot__Manifest *manifest;
	struct memory_progress progress;
	uv_work_t work;
};

/* snapshot.c */
void snapshot_enter(struct snapshot *snapshot, enum snapshot_phase phase);
void snapshot_settle(uv_timer_t *timer); /* looks whether it may begin, or is over already */

/* snapshot_end.c: remember the first failure, the phase that is under way ends by itself and then
 * looks; and the way back from wherever it is: workers go on, then it is over. */
void snapshot_note_failure(struct snapshot *snapshot, const struct error *err);
void snapshot_unwind(struct snapshot *snapshot);

/* snapshot_collect.c: fill manifest and files from the stopped machine. */
int snapshot_collect_state(struct snapshot *snapshot, struct error *err);

/* snapshot_store.c: open every file through the broker; and write them, on a thread of the pool. */
int snapshot_open_files(struct snapshot *snapshot, struct error *err);
int snapshot_store(struct snapshot *snapshot, struct error *err);

uint64_t snapshot_now_ns(void);

#endif
