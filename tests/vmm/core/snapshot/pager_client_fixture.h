/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory on demand as the core has it: a real broker, real pagers, and memory files as a snapshot
 * writes them. The loop belongs to the test; memory is touched by threads of their own.
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_PAGER_CLIENT_FIXTURE_H
#define BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_PAGER_CLIENT_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "devworkers/common/guest_memory.h"
#include "vmm/core/snapshot/pager_client.h"
#include "vmm/core/workers/channel_watch.h"

#define PAGE	     4096U
#define CHUNK	     ((uint64_t)MEMORY_FILE_CHUNK_BYTES)
#define REGION_BYTES ((uint64_t)4 << 20)
#define REGIONS	     2U
#define WAIT_MS	     20000

struct pager_client_fixture {
	char folder[64];
	char lock[96];
	uv_loop_t loop;
	uv_timer_t tick;
	struct broker_client *broker;
	struct channel_watch broker_watch;
	int device;
	struct guest_memory source; /* the memory that was saved */
	struct guest_memory memory; /* the memory that is restored */
	struct memory_index indexes[REGIONS];
	int files[REGIONS];
	struct pager_client *client;
	struct pager_client_callbacks callbacks;
	struct error err;

	int watch_closed, gone;
	int ready, damaged, prefault_done, restarted, failed, process_failed;
	int ready_error, toucher_done;
	unsigned damaged_region;
	uint64_t damaged_offset;
	char text[ERROR_MESSAGE_SIZE];
};

/* A thread that compares memory with what was saved. */
struct toucher {
	struct pager_client_fixture *fixture;
	const struct guest_memory *memory;
	unsigned pause_us; /* between chunks */
	bool same;
	pthread_t thread;
};

int pager_client_setup(void **state); /* of cmocka */
int pager_client_teardown(void **state);

/* For tests that need userfaultfd: skips where there is none. */
struct pager_client_fixture *pager_client_fixture_get(void **state);

/* worker_folder NULL: the broker's own. */
void pager_client_start_broker(struct pager_client_fixture *fixture, const char *worker_folder);
void pager_client_fill_options(struct pager_client_fixture *fixture,
			       struct pager_client_options *options);

/* A broker and a client that is ready. */
void pager_client_start_serving(struct pager_client_fixture *fixture);

/* Run the loop until *counter is at least value. False: not within WAIT_MS. */
bool pager_client_wait(struct pager_client_fixture *fixture, const int *counter, int value);

/* For pager_client_destroy(): counts up the int that it is given. */
void pager_client_on_gone(void *opaque);

/* pause_us: between chunks. The end asserts that all was as saved. */
void toucher_begin(struct pager_client_fixture *fixture, struct toucher *toucher,
		   const struct guest_memory *memory, unsigned pause_us);
void toucher_end(struct toucher *toucher);

void pager_client_kill(const struct pager_client_fixture *fixture);

/* A second mapping with a userfaultfd of its own, which is returned, stands for another process. */
int pager_client_map_again(struct pager_client_fixture *fixture, struct guest_memory *other,
			   uint64_t *addresses);

#endif
