/* SPDX-License-Identifier: Apache-2.0 */
/* One pager process: from the broker's answer over CONFIGURE to its end. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/snapshot/pager_client_parts.h"

#define MAX_IN_FLIGHT 16 /* of what guests can cause by resetting their devices */

static int on_damaged(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Pager__Damaged *body = (const void *)message->body;
	struct pager_link *link = owner;
	struct pager_client *client = link->client;

	if (client && body->region >= client->memory->region_count)
		return error_set(err, -EPROTO, "tells of a region that is not there");
	if (client && client->ready)
		client->callbacks->damaged(client->opaque, body->region, body->offset,
					   body->reason);
	return 0;
}

static int on_prefault_done(void *owner, struct channel_message *message, struct error *err)
{
	struct pager_link *link = owner;

	(void)message;
	if (!link->serving)
		return error_set(err, -EPROTO, "is done before it began");
	if (link->client)
		pager_client_on_complete(link->client);
	return 0;
}

static int on_process_failed(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Pager__ProcessFailed *body = (const void *)message->body;
	struct pager_link *link = owner;
	struct pager_client *client = link->client;
	struct pager_slot *slot = client ? pager_slot_find(client, body->process) : NULL;
	struct error failure = ERROR_INIT;

	(void)err;
	if (!slot || slot->state != PAGER_SLOT_TOLD || !client->callbacks->process_failed)
		return 0;
	(void)error_set(&failure, -EPROTO, "%s", body->reason);
	client->callbacks->process_failed(client->opaque, slot->name, &failure);
	return 0;
}

#define REPLY(type_, name_, body_)                                                                 \
	{                                                                                          \
		.type = PAGER_MESSAGE(type_), .kind = FRAME_REPLY, .name = name_,                  \
		.descriptor = body_                                                                \
	}
#define EVENT(type_, name_, body_, handler_)                                                       \
	{                                                                                          \
		.type = PAGER_MESSAGE(type_), .kind = FRAME_EVENT, .name = name_,                  \
		.descriptor = &bulkhead__pager__##body_##__descriptor, .max_payload_bytes = 1024,  \
		.handler = handler_                                                                \
	}

static const struct channel_row rows[] = {
	REPLY(CONFIGURE, "configure", NULL),
	REPLY(ADD_PROCESS, "add-process", NULL),
	REPLY(REMOVE_PROCESS, "remove-process", NULL),
	REPLY(PREFAULT, "prefault", NULL),
	REPLY(STATS, "stats", &bulkhead__pager__stats__descriptor),
	EVENT(DAMAGED, "damaged", damaged, on_damaged),
	EVENT(PREFAULT_DONE, "prefault-done", empty, on_prefault_done),
	EVENT(PROCESS_FAILED, "process-failed", process_failed, on_process_failed),
};

/* ---- its end ---- */

static void link_free_unused(struct pager_link *link)
{
	if (link->client || link->spawning || link->watching)
		return;
	channel_destroy(link->channel);
	free(link);
}

static void link_on_watch_closed(void *opaque)
{
	struct pager_link *link = opaque;
	struct pager_client *waiting = link->waiting;

	link->watching = false;
	link->waiting = NULL;
	/* Answers to open requests come in here. */
	channel_destroy(link->channel);
	link->channel = NULL;
	link_free_unused(link);
	pager_client_handle_closed(waiting);
}

static void link_kill(struct pager_link *link)
{
	struct error err = ERROR_INIT;

	if (link->pid > 0 && broker_kill(link->broker, link->pid, &err) < 0)
		log_error("cannot kill the pager (%d): %s", link->pid, err.message);
	link->pid = 0;
}

void pager_link_retire(struct pager_client *client)
{
	struct pager_link *link = client->link;

	if (!link)
		return;
	client->link = NULL;
	link->client = NULL;
	link_kill(link);
	if (link->watching)
		channel_watch_close(&link->watch, link_on_watch_closed, link);
	else
		link_free_unused(link);
}

void pager_link_lost(struct pager_link *link, const struct error *err)
{
	struct pager_client *client = link->client;
	struct error copy = *err; /* may be the link's own */

	if (!client)
		return;
	pager_link_retire(client);
	pager_client_on_lost(client, &copy);
}

static void link_on_closed(void *owner, const struct error *err)
{
	struct pager_link *link = owner;

	channel_watch_stop(&link->watch);
	/* The broker is about to say why it could not be started. */
	if (link->spawning)
		link->closed = *err;
	else
		pager_link_lost(link, err);
}

/* ---- the conversation ---- */

bool pager_link_request(struct pager_link *link, uint16_t type, const ProtobufCMessage *body,
			const int *fds, unsigned fd_count, channel_reply_fn reply, void *opaque)
{
	struct error err = ERROR_INIT;

	if (channel_request(link->channel, type, body, fds, fd_count, PAGER_REQUEST_TIMEOUT_MS,
			    reply, opaque, &err) == 0) {
		channel_watch_update(&link->watch);
		return true;
	}
	pager_link_lost(link, &err);
	return false;
}

static void on_prefault_reply(void *opaque, struct channel_message *message,
			      const struct error *err)
{
	struct pager_link *link = opaque;

	link->in_flight--;
	if (!link->client)
		return;
	if (message)
		pager_link_pump(link);
	else
		pager_link_lost(link, err);
}

static bool link_tell_prefault(struct pager_link *link)
{
	Bulkhead__Pager__Prefault body = BULKHEAD__PAGER__PREFAULT__INIT;

	if (link->prefault_told == link->client->prefault || link->client->complete)
		return false;
	body.start = link->prefault_told = link->client->prefault;
	link->in_flight++;
	return pager_link_request(link, PAGER_MESSAGE(PREFAULT), &body.base, NULL, 0,
				  on_prefault_reply, link);
}

void pager_link_pump(struct pager_link *link)
{
	if (!link->serving)
		return;
	/* Each of them may lose the link. */
	while (link->in_flight < MAX_IN_FLIGHT && pager_slots_tell(link))
		;
	if (link->client && link->in_flight < MAX_IN_FLIGHT)
		(void)link_tell_prefault(link);
}

static void on_stats(void *opaque, struct channel_message *message, const struct error *err)
{
	struct pager_link *link = opaque;
	struct pager_client *client = link->client;
	const Bulkhead__Pager__Stats *body;

	link->stats_asked = false;
	if (!client)
		return;
	if (!message) {
		pager_link_lost(link, err);
		return;
	}
	body = (const void *)message->body;
	client->stats.faults = body->faults;
	client->stats.chunks = body->chunks;
	client->stats.placed_bytes = body->placed_bytes;
	client->stats.zero_bytes = body->zero_bytes;
	client->stats.prefault_done_bytes =
		client->complete ? body->present_bytes : body->prefault_done_bytes;
	client->stats.present_bytes = body->present_bytes;
}

void pager_link_ask_stats(struct pager_link *link)
{
	Bulkhead__Pager__Empty body = BULKHEAD__PAGER__EMPTY__INIT;

	if (!link->serving || link->stats_asked)
		return;
	link->stats_asked = true;
	(void)pager_link_request(link, PAGER_MESSAGE(STATS), &body.base, NULL, 0, on_stats, link);
}

/* ---- its beginning ---- */

static void on_configured(void *opaque, struct channel_message *message, const struct error *err)
{
	struct pager_link *link = opaque;

	if (!link->client)
		return;
	if (!message) {
		pager_link_lost(link, err);
		return;
	}
	link->serving = true;
	pager_link_pump(link);
	if (link->client)
		pager_client_on_serving(link->client);
}

static void link_configure(struct pager_link *link)
{
	struct pager_client *client = link->client;
	const struct guest_memory *memory = client->memory;
	Bulkhead__Pager__Configure body = BULKHEAD__PAGER__CONFIGURE__INIT;
	Bulkhead__Pager__Region regions[GUEST_MEMORY_MAX_REGIONS];
	Bulkhead__Pager__Region *pointers[GUEST_MEMORY_MAX_REGIONS];
	int fds[2 + GUEST_MEMORY_MAX_REGIONS] = {client->index_fd, client->userfaultfd};

	for (unsigned i = 0; i < memory->region_count; i++) {
		bulkhead__pager__region__init(&regions[i]);
		regions[i].guest_physical_address = memory->regions[i].gpa;
		regions[i].size_bytes = memory->regions[i].size_bytes;
		regions[i].core_address = (uintptr_t)memory->regions[i].hva;
		regions[i].chunk_bytes = client->chunk_bytes[i];
		regions[i].page_bytes = client->page_bytes[i];
		pointers[i] = &regions[i];
		fds[2 + i] = client->memory_fds[i];
	}
	body.regions = pointers;
	body.n_regions = memory->region_count;
	body.complete = client->complete;
	(void)pager_link_request(link, PAGER_MESSAGE(CONFIGURE), &body.base, fds,
				 2 + memory->region_count, on_configured, link);
}

static void link_on_spawned(void *opaque, int32_t pid, uint32_t uid, const struct error *err)
{
	struct pager_link *link = opaque;

	(void)uid;
	link->spawning = false;
	if (!err)
		link->pid = pid;
	if (!link->client) {
		link_kill(link);
		link_free_unused(link);
	} else if (err || link->closed.code) {
		pager_link_lost(link, err ? err : &link->closed);
	} else {
		link_configure(link);
	}
}

static int link_connect(struct pager_link *link, struct error *err)
{
	static const struct channel_callbacks callbacks = {.closed = link_on_closed};
	int pair[2];
	int ret;

	if (channel_socketpair(pair, err) < 0)
		return err->code;
	link->channel = channel_new(pair[0], "pager", rows, sizeof(rows) / sizeof(rows[0]),
				    &callbacks, link, err);
	if (!link->channel) {
		close(pair[0]);
		close(pair[1]);
		return err->code;
	}
	ret = channel_watch_start(&link->watch, link->client->loop, link->channel, err);
	if (ret == 0) {
		link->watching = true;
		link->waiting = link->client;
		link->client->open_handles++;
		ret = broker_spawn_helper(link->broker, "pager", "pager", pair[1], link_on_spawned,
					  link, err);
		link->spawning = ret == 0;
	}
	close(pair[1]);
	return ret;
}

int pager_link_start(struct pager_client *client, struct error *err)
{
	struct pager_link *link = calloc(1, sizeof(*link));
	int ret;

	if (!link)
		return error_set(err, -ENOMEM, "out of memory");
	link->client = client;
	link->broker = client->broker;
	client->link = link;
	ret = link_connect(link, err);
	if (ret < 0)
		pager_link_retire(client);
	return ret;
}
