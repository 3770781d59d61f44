/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that is restored on demand (docs/PAGER.md): registers the core's own mapping, starts
 * bulkhead-pager through the broker, passes it the memory files and every process's userfaultfd,
 * and starts another one when it dies. Loop thread.
 *
 * The rule for everybody in the core: the loop thread touches no guest memory while there is a
 * client. A thread that touches a missing page waits for the pager, and it is the loop thread that
 * replaces a pager that died. Other threads (vCPUs, the loop's pool) may touch what they like, from
 * start() on.
 *
 * Until pager_client_is_complete() a hole in the memory's own files may be one where the snapshot
 * has data: who looks for data there (lseek SEEK_DATA, as a snapshot does) or gives pages back
 * (balloon) must have memory complete first. Then the client may be destroyed and memory is like
 * any other.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_PAGER_CLIENT_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_PAGER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"
#include "vmm/core/snapshot/memory_file.h"
#include "vmm/core/workers/broker_client.h"

#define PAGER_CLIENT_MAX_PROCESSES 40

struct pager_client;

/* All but ready and damaged may be NULL. Strings are valid during the call. */
struct pager_client_callbacks {
	/* The pager serves (err NULL), or there is none (then destroy). Once. */
	void (*ready)(void *opaque, const struct error *err);
	/*
	 * A chunk of the snapshot is not what was saved: region and offset say which. Nothing of it
	 * was placed and who asked for it waits until the client is destroyed: stop the VM first.
	 * A few times at most.
	 */
	void (*damaged)(void *opaque, unsigned region, uint64_t offset, const char *reason);
	/*
	 * Everything that the snapshot holds is in memory. Once. The client may be destroyed now;
	 * nothing registers on demand from then on.
	 */
	void (*prefault_done)(void *opaque);
	/* The pager had died (err says how) and another one serves in its place. */
	void (*restarted)(void *opaque, const struct error *err);
	/*
	 * The pager died and cannot be replaced: who touches a missing page waits until the client
	 * is destroyed. Pause the VM. Once; no other callback follows.
	 */
	void (*failed)(void *opaque, const struct error *err);
	/* A process that was added misuses its userfaultfd and is served no longer: replace it. */
	void (*process_failed)(void *opaque, const char *name, const struct error *err);
};

struct pager_client_region {
	uint32_t page_bytes;	   /* of the memory's mapping: 4096, or 2 MiB for huge pages */
	struct memory_index index; /* from the manifest; copied */
	int memory_fd;		   /* the snapshot's memory file, readable; taken in every case */
};

struct pager_client_options {
	uv_loop_t *loop;
	struct broker_client *broker;
	/* The core's mapping, fresh memfds that nobody has touched. Outlives the client. */
	const struct guest_memory *memory;
	int userfaultfd_device; /* /dev/userfaultfd, borrowed during the call */
	unsigned region_count;	/* that of memory, in its order */
	struct pager_client_region regions[GUEST_MEMORY_MAX_REGIONS];
	bool prefault; /* begin to read everything in the background at once */
	const struct pager_client_callbacks *callbacks; /* outlive the client */
	void *opaque;
};

/* What the pager said last; at most some seconds old while it serves. */
struct pager_client_stats {
	uint64_t faults;
	uint64_t chunks;
	uint64_t placed_bytes;
	uint64_t zero_bytes;
	uint64_t prefault_done_bytes;
	uint64_t present_bytes;
	unsigned restarts;
};

/*
 * Register memory with a new userfaultfd and ask the broker for a pager; ready() follows. NULL with
 * err set: nothing follows and memory is not registered (any more). -EINVAL: what was given does
 * not fit together; -EOPNOTSUPP: this memory cannot be served (a backing file that is not on
 * tmpfs, pages of another size than 4 KiB and 2 MiB).
 */
struct pager_client *pager_client_start(const struct pager_client_options *options,
					struct error *err);

/*
 * From now on serve the process `name` ("blk \"root\"", copied), which maps the same memory, too:
 * userfaultfd (taken in every case) and the address of each region as it reported them, in the
 * order of the regions. A process of that name is replaced. Legal at any time, ready or not.
 * -EPROTO: the addresses make no sense (fail the worker); -ENOSPC: PAGER_CLIENT_MAX_PROCESSES.
 */
int pager_client_add_process(struct pager_client *client, const char *name, int userfaultfd,
			     const uint64_t *region_addresses, size_t region_count,
			     struct error *err);

/* The process has ended or has unmapped its memory. Unknown names are ignored. */
void pager_client_remove_process(struct pager_client *client, const char *name);

/* Read everything in the background, or stop doing so. prefault_done() follows, once in all. */
int pager_client_prefault(struct pager_client *client, bool start, struct error *err);

/* prefault_done() was or is about to be called. */
/* It could not be replaced: what is not in memory yet never will be. */
bool pager_client_has_failed(const struct pager_client *client);

bool pager_client_is_complete(const struct pager_client *client);

void pager_client_stats(const struct pager_client *client, struct pager_client_stats *stats);

/* For status; 0 while there is none. */
int32_t pager_client_pid(const struct pager_client *client);

/*
 * The VM is over although some of its memory never came: threads of the core that wait for it go on
 * with private zeros, so that they can be stopped. vCPUs have been told to stop before: they leave
 * the guest at once. Workers see none of the zeros; they wait on until they are ended.
 */
void pager_client_abandon(struct pager_client *client);

/*
 * End the pager and unregister the core's memory: pages that are missing become zeros, and who
 * waits for one goes on with them. If memory is complete that is as it should be, and the memory of
 * all other processes is unregistered, too. If it is not, the VM must be over, its vCPUs told to
 * stop and its workers ended. gone(opaque) is called from the loop when the client is freed. Legal
 * in its callbacks. Accepts NULL: gone is then called at once.
 */
void pager_client_destroy(struct pager_client *client, void (*gone)(void *opaque), void *opaque);

/*
 * For a process that registered its memory while the client was on its way out: memory is complete
 * and nobody serves it. Ends the registration, which the process itself keeps up. userfaultfd is
 * taken; the work is done on the loop's pool, because another process's locks are waited for.
 */
void pager_client_release_process(uv_loop_t *loop, const struct guest_memory *memory,
				  int userfaultfd, const uint64_t *region_addresses,
				  size_t region_count);

#endif
