/* SPDX-License-Identifier: Apache-2.0 */
/* A real pager in its sandbox, driven as the core drives it, and processes that map the memory. */
#ifndef BULKHEAD_TESTS_VMM_PAGER_PAGER_FIXTURE_H
#define BULKHEAD_TESTS_VMM_PAGER_PAGER_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/channel.h"
#include "proto/pager.pb-c.h"
#include "tests/devworkers/common/worker_launcher.h"
#include "tests/vmm/pager/saved_memory.h"

#define FIXTURE_CHUNKS	    64U
#define FIXTURE_CHUNK_BYTES (64U << 10)
#define FIXTURE_PAGE	    4096U
#define FIXTURE_BYTES	    ((uint64_t)FIXTURE_CHUNKS * FIXTURE_CHUNK_BYTES)
#define FIXTURE_WAIT_MS	    10000
#define FIXTURE_NOT_MS	    150 /* long enough to believe that something does not happen */

struct pager_fixture {
	struct saved_memory saved;
	int device;		    /* /dev/userfaultfd */
	struct guest_memory memory; /* as the core maps it, registered */
	int userfaultfd;
	struct launched_worker process;
	struct channel *channel;
	bool complete; /* say so in CONFIGURE */

	/* what the pager said */
	int damaged_count, prefault_done_count, process_failed_count, closed_count;
	uint64_t damaged_offset;
	uint32_t failed_process;
	char reason[ERROR_MESSAGE_SIZE];
};

/* A cmocka setup: memory that is registered, no pager yet. */
int pager_fixture_setup(void **state);
/* The same and a pager that serves. */
int pager_fixture_setup_serving(void **state);
int pager_fixture_teardown(void **state);

/* For tests that need userfaultfd: skips where there is none. */
struct pager_fixture *pager_fixture_get(void **state);

/* Start a pager. */
int pager_fixture_launch(struct pager_fixture *fixture, struct error *err);
/* The same and configure it. */
int pager_fixture_start(struct pager_fixture *fixture, struct error *err);
/* Kill the pager as if it had crashed. */
void pager_fixture_kill(struct pager_fixture *fixture);

/* Requests. */
int pager_fixture_add(struct pager_fixture *fixture, uint32_t process, int userfaultfd,
		      uint64_t address, struct error *err);
void pager_fixture_remove(struct pager_fixture *fixture, uint32_t process);
void pager_fixture_prefault(struct pager_fixture *fixture, bool start);
void pager_fixture_stats(struct pager_fixture *fixture, Bulkhead__Pager__Stats *stats);

/* Dispatch until *counter is not 0. False: not within FIXTURE_WAIT_MS. */
bool pager_fixture_wait(struct pager_fixture *fixture, const int *counter);

/* Has memory anything at offset, without touching it? */
bool pager_fixture_has_page(const struct pager_fixture *fixture, uint64_t offset);

/* Another process with the memory in it. */
struct mapper {
	pid_t pid;
	int socket;
	int userfaultfd; /* as it gave it to us */
	uint64_t address;
};

void mapper_start(struct mapper *mapper, const struct pager_fixture *fixture);
void mapper_end(struct mapper *mapper);

/* It compares its memory with what was saved, page by page in an order of its own. */
void mapper_begin_check(const struct mapper *mapper, uint64_t offset, uint64_t bytes);
/* 1: it was as saved; 0: it was not; -1: no answer within timeout_ms. */
int mapper_end_check(const struct mapper *mapper, unsigned timeout_ms);

#endif
