/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is restored on demand, as one VM sees it: its pager, and what has to wait until
 * everything is there. Until then the loop thread touches no guest memory (pager_client.h says
 * why). Loop thread.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_ON_DEMAND_MEMORY_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_ON_DEMAND_MEMORY_H

#include <stdbool.h>

#include "ipc/error.h"
#include "vmm/core/snapshot/snapshot_reader.h"

struct vm;
struct worker_device;

/*
 * Start the pager for a VM whose memory is fresh; takes the reader's memory files. ready runs once
 * later unless the call fails.
 */
int on_demand_memory_start(struct vm *vm, struct snapshot_reader *reader, bool prefault,
			   void (*ready)(struct vm *vm, const struct error *err),
			   struct error *err);

/* A worker has mapped guest memory, too (worker_device_events.on_demand). */
int on_demand_memory_add_worker(struct vm *vm, struct worker_device *device, int userfaultfd,
				const uint64_t *region_addresses, size_t region_count,
				struct error *err);

/* All of memory is there; err: it cannot be had. */
typedef void (*on_demand_complete_fn)(struct vm *vm, const struct error *err);

/*
 * Call complete(vm, NULL) from the loop when all of memory is there; at once when it is already; or
 * with an error when it cannot be had any more. Begins to read what is missing. One waits at a
 * time: a second call replaces the first; NULL: nobody waits any more.
 */
void on_demand_memory_when_complete(struct vm *vm, on_demand_complete_fn complete);

/* The pager is gone for good, and some of memory is not there. */
bool on_demand_memory_is_lost(const struct vm *vm);

/*
 * The VM ends: its vCPUs are told to stop, and what waits for a page that will not come (damage,
 * no pager) is let go. Nothing if memory is complete. vm_shutdown() calls it first of all.
 */
void on_demand_memory_abandon(struct vm *vm);

/* Unregister memory and end the pager: vCPUs and workers have ended. gone(vm) is called from the
 * loop, or at once. */
void on_demand_memory_end(struct vm *vm, void (*gone)(struct vm *vm));

#endif
