/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a snapshot of a paused VM: the coordinator. Order: quiesce all workers in parallel,
 * collect their blobs, the state of KVM and of the machine, memory, manifest (the commit point),
 * resume the workers. All or nothing: whatever fails, the VM is paused and whole afterwards and the
 * directory holds no snapshot. Loop thread; memory is written on a thread of the loop's pool.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_H

#include <stdint.h>

#include "ipc/error.h"
#include "vmm/core/control/vm.h"

enum snapshot_phase {
	SNAPSHOT_NONE,	  /* none was ever asked for */
	SNAPSHOT_SETUP,	  /* waits for the guest's last requests to workers */
	SNAPSHOT_QUIESCE, /* workers drain */
	SNAPSHOT_COLLECT, /* workers hand over their blobs */
	SNAPSHOT_MEMORY,  /* guest memory and state are written */
	SNAPSHOT_COMMIT,  /* the manifest gets its name */
	SNAPSHOT_RESUME,  /* workers go on */
	SNAPSHOT_COMPLETED,
	SNAPSHOT_FAILED,
	SNAPSHOT_CANCELLED,
};

/* Of the snapshot that is being taken, or of the last one. */
struct snapshot_status {
	enum snapshot_phase phase;
	uint64_t total_bytes;				     /* of guest memory */
	uint64_t done_bytes;				     /* looked at */
	uint64_t stored_bytes;				     /* written */
	uint64_t quiesce_ns, state_ns, memory_ns, commit_ns; /* how long each part took */
	struct error error;				     /* FAILED, CANCELLED */
};

const char *snapshot_phase_name(enum snapshot_phase phase);

/*
 * Take a snapshot of a paused VM into the directory `path`. done runs once later unless the call
 * fails: err NULL when the snapshot is committed and the VM is paused again.
 */
int vm_snapshot(struct vm *vm, const char *path, vm_done_fn done, void *opaque, struct error *err);

/* Give up the snapshot that is being taken: it fails with -ECANCELED. -ENOENT: none is. */
int vm_snapshot_cancel(struct vm *vm, struct error *err);

void vm_snapshot_status(const struct vm *vm, struct snapshot_status *status);

#endif
