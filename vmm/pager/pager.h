/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-pager: puts the pages of a snapshot into the memory of a VM when they are touched. It
 * holds the snapshot's memory files and the userfaultfds of the processes that map guest memory,
 * and maps none of it. One thread; docs/PAGER.md.
 *
 * Data goes into memory through the core's userfaultfd only. What other processes say of
 * themselves decides which page is read and who is woken, never where bytes go.
 */
#ifndef BULKHEAD_VMM_PAGER_PAGER_H
#define BULKHEAD_VMM_PAGER_PAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "devworkers/common/loop.h"
#include "devworkers/common/loop_channel.h"
#include "ipc/channel.h"
#include "proto/pager.pb-c.h"
#include "vmm/pager/region.h"

#define PAGER_MAX_PROCESSES 64 /* the core and its workers, those that are being replaced too */
#define PAGER_MESSAGE(name) BULKHEAD__PAGER__MESSAGE_TYPE__MESSAGE_##name

struct pager;

/* A process that maps guest memory. */
struct pager_process {
	struct pager *pager;
	uint32_t id; /* 0: this slot is free; PAGER_CORE: the core */
	char name[64];
	int userfaultfd;			      /* owned */
	struct loop_watch *watch;		      /* NULL: served no longer */
	uint64_t addresses[GUEST_MEMORY_MAX_REGIONS]; /* its own word, but for the core's */
};

#define PAGER_CORE UINT32_MAX

struct pager {
	struct loop *loop;
	struct channel *channel;
	struct loop_channel channel_watch;
	bool configured;

	uint8_t *index; /* mapped: chunk maps and checksums */
	size_t index_bytes;
	unsigned region_count;
	struct region regions[GUEST_MEMORY_MAX_REGIONS];
	struct pager_process processes[PAGER_MAX_PROCESSES]; /* [0]: the core */
	uint8_t *buffer;				     /* a unit as it was read and checked */
	const uint8_t *zeros;	/* a huge page's worth; NULL: no region has huge pages */
	unsigned damage_events; /* sent so far */

	bool complete; /* all that the snapshot holds is or was in memory */
	bool prefaulting;
	unsigned prefault_region; /* where it is: region_count: done */
	uint64_t prefault_unit;

	Bulkhead__Pager__Stats stats;
};

/* ---- pager.c ---- */

/* Set up the loop and the channel on core_fd (taken in every case). Before the sandbox closes. */
int pager_init(struct pager *pager, int core_fd, struct error *err);
int pager_run(struct pager *pager);	 /* until the core is gone: 0 */
void pager_destroy(struct pager *pager); /* accepts a zeroed or half-built one */

/* After anything was sent outside the channel's callback. */
void pager_watch_channel(struct pager *pager);

/* ---- requests.c: what the core asks ---- */
extern const struct channel_row pager_rows[];
extern const size_t pager_row_count;

/* ---- configure.c ---- */

/* The body and fds of CONFIGURE; fds that are kept are taken out of the array. */
int pager_configure(struct pager *pager, const Bulkhead__Pager__Configure *body, int *fds,
		    unsigned fd_count, struct error *err);

/* ---- process.c: who asks for pages ---- */

/* So that nobody's userfaultfd can keep us from serving the others. Before the sandbox closes. */
int pager_guard_reads(struct error *err);

/*
 * Begin to serve a process. userfaultfd is taken on success. Whoever waits in it is woken and asks
 * again: a question that an earlier pager took with it to its end is not lost. -EINVAL: this is no
 * userfaultfd, or the addresses cannot be.
 */
int pager_process_add(struct pager *pager, uint32_t id, const char *name, int userfaultfd,
		      const uint64_t *addresses, struct error *err);
void pager_process_remove(struct pager *pager, uint32_t id);
void pager_processes_close(struct pager *pager);

/* ---- serve.c ---- */

/* Answer a fault of process at offset of a region. */
void pager_serve(struct pager *pager, const struct pager_process *process, unsigned region,
		 uint64_t offset);

/* ---- prefault.c ---- */
void pager_prefault_set(struct pager *pager, bool start);

/* Read in a little; true: there is more to do. Called by the loop before it sleeps. */
bool pager_prefault_step(void *opaque);

/* serve.c: read the unit, put it into memory. False: it cannot be had; the core was told. */
bool pager_place_unit(struct pager *pager, unsigned region, uint64_t unit);

#endif
