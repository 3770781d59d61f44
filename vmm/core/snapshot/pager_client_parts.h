/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct pager_client: pager_client.c (life and interface), pager_link.c (one pager
 * process and the conversation with it), pager_processes.c (who is served), pager_release.c (the
 * end of that), pager_index.c (chunk maps and checksums as the pager gets them). Loop thread.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_PAGER_CLIENT_PARTS_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_PAGER_CLIENT_PARTS_H

#include "ipc/channel.h"
#include "proto/pager.pb-c.h"
#include "vmm/core/snapshot/pager_client.h"
#include "vmm/core/workers/channel_watch.h"

#define PAGER_MESSAGE(name)	 BULKHEAD__PAGER__MESSAGE_TYPE__MESSAGE_##name
#define PAGER_REQUEST_TIMEOUT_MS 10000
#define PAGER_SLOTS		 (2 * PAGER_CLIENT_MAX_PROCESSES) /* those that leave, too */
/* More deaths than this within the time, and it is not worth another try. */
#define PAGER_MAX_RESTARTS	  5
#define PAGER_RESTART_WINDOW_MS	  60000
#define PAGER_BUSY_HEARTBEAT_MS	  1000
#define PAGER_SILENT_HEARTBEAT_MS 5000

/* One pager process. Lives until its watch is closed and the broker has answered. */
struct pager_link {
	struct pager_client *client; /* NULL: retired */
	struct broker_client *broker;
	struct pager_client *waiting; /* is not gone before the watch is closed; NULL: it is */
	struct channel *channel;
	struct channel_watch watch;
	int32_t pid; /* 0: not started yet, or killed */
	bool serving;
	bool spawning, watching;
	struct error closed; /* while it was spawning */
	unsigned in_flight;  /* ADD_PROCESS, REMOVE_PROCESS, PREFAULT */
	bool stats_asked;
	bool prefault_told;
};

/* FREE -> WANTED -> TOLD -> LEAVING -> FREE. A new pager makes WANTED out of TOLD. */
enum pager_slot_state {
	PAGER_SLOT_FREE,
	PAGER_SLOT_WANTED,  /* the pager does not know it yet */
	PAGER_SLOT_TOLD,    /* the pager serves it, or has refused to */
	PAGER_SLOT_LEAVING, /* gone, the pager does not know yet */
};

struct pager_slot {
	enum pager_slot_state state;
	uint32_t id;
	char name[96];
	int userfaultfd; /* owned */
	uint64_t addresses[GUEST_MEMORY_MAX_REGIONS];
};

struct pager_client {
	uv_loop_t *loop;
	struct broker_client *broker;
	const struct guest_memory *memory;
	const struct pager_client_callbacks *callbacks;
	void *opaque;

	/* Kept for every pager that comes. */
	int userfaultfd;
	int index_fd;
	int memory_fds[GUEST_MEMORY_MAX_REGIONS];
	uint32_t chunk_bytes[GUEST_MEMORY_MAX_REGIONS];
	uint32_t page_bytes[GUEST_MEMORY_MAX_REGIONS];
	struct pager_slot slots[PAGER_SLOTS];
	uint32_t last_id;

	struct pager_link *link; /* NULL: there is no pager */
	bool ready;		 /* told */
	bool failed;		 /* told */
	bool prefault;		 /* wanted */
	bool complete;
	struct error death; /* of the pager before this one; code 0: this is the first */
	uint64_t restart_times_ms[PAGER_MAX_RESTARTS];
	struct pager_client_stats stats;

	uv_timer_t heartbeat;
	unsigned open_handles; /* the timer, and the watches of links */
	bool destroying;
	void (*gone)(void *opaque);
	void *gone_opaque;
};

/* ---- pager_client.c ---- */

/* The link is lost: err says why. The link is retired already. */
void pager_client_on_lost(struct pager_client *client, const struct error *err);
void pager_client_on_serving(struct pager_client *client);
void pager_client_on_complete(struct pager_client *client);
/* One of open_handles is closed. */
void pager_client_handle_closed(struct pager_client *client);

/* ---- pager_link.c ---- */
int pager_link_start(struct pager_client *client, struct error *err);
/* Kill the pager, if there is one, and forget it. */
void pager_link_retire(struct pager_client *client);
/* Retire it and tell the client. */
void pager_link_lost(struct pager_link *link, const struct error *err);
/* Tell the pager what it does not know yet, as far as it keeps up. */
void pager_link_pump(struct pager_link *link);
void pager_link_ask_stats(struct pager_link *link);
/* A request under the usual deadline; a failure loses the link. False: it is lost. */
bool pager_link_request(struct pager_link *link, uint16_t type, const ProtobufCMessage *body,
			const int *fds, unsigned fd_count, channel_reply_fn reply, void *opaque);

/* ---- pager_processes.c ---- */
struct pager_slot *pager_slot_find(struct pager_client *client, uint32_t id);
/* Send one thing that the pager does not know. False: there is none, or the link is lost. */
bool pager_slots_tell(struct pager_link *link);
/* A new pager knows nobody. */
void pager_slots_forget_told(struct pager_client *client);
void pager_slots_close(struct pager_client *client);

/* ---- pager_index.c ---- */

/* The index of proto/pager.proto as a sealed memfd, the caller's; checks what it is made of. */
int pager_index_create(const struct pager_client_options *options, struct error *err);

#endif
