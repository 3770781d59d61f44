/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes the pager serves, and what it has been told of that so far. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "vmm/core/snapshot/pager_client_parts.h"

#define ADDRESS_LIMIT (UINT64_C(1) << 47) /* of a process that does not ask for more */

struct pager_slot *pager_slot_find(struct pager_client *client, uint32_t id)
{
	for (unsigned i = 0; i < PAGER_SLOTS; i++)
		if (client->slots[i].state != PAGER_SLOT_FREE && client->slots[i].id == id)
			return &client->slots[i];
	return NULL;
}

static bool slot_is_live(const struct pager_slot *slot)
{
	return slot->state == PAGER_SLOT_WANTED || slot->state == PAGER_SLOT_TOLD;
}

static struct pager_slot *slot_find_name(struct pager_client *client, const char *name)
{
	for (unsigned i = 0; i < PAGER_SLOTS; i++)
		if (slot_is_live(&client->slots[i]) && strcmp(client->slots[i].name, name) == 0)
			return &client->slots[i];
	return NULL;
}

static struct pager_slot *slot_find_free(struct pager_client *client)
{
	unsigned live = 0;
	struct pager_slot *slot = NULL;

	for (unsigned i = 0; i < PAGER_SLOTS; i++) {
		live += slot_is_live(&client->slots[i]);
		if (client->slots[i].state == PAGER_SLOT_FREE)
			slot = &client->slots[i];
	}
	return live < PAGER_CLIENT_MAX_PROCESSES ? slot : NULL;
}

/* The worker's word. What it gains from a lie is explained in docs/PAGER.md: nothing. */
static int addresses_check(const struct pager_client *client, const uint64_t *addresses,
			   size_t count, struct error *err)
{
	if (count != client->memory->region_count)
		return error_set(err, -EPROTO, "tells of %zu memory regions", count);
	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = client->memory->regions[i].size_bytes;

		if (!addresses[i] || addresses[i] % client->page_bytes[i] ||
		    addresses[i] >= ADDRESS_LIMIT || bytes > ADDRESS_LIMIT - addresses[i])
			return error_set(err, -EPROTO, "cannot have memory at 0x%" PRIx64,
					 addresses[i]);
		for (size_t j = 0; j < i; j++)
			if (addresses[i] < addresses[j] + client->memory->regions[j].size_bytes &&
			    addresses[j] < addresses[i] + bytes)
				return error_set(err, -EPROTO, "has memory regions that overlap");
	}
	return 0;
}

static void slot_leave(struct pager_slot *slot)
{
	fd_close(&slot->userfaultfd);
	slot->state = slot->state == PAGER_SLOT_TOLD ? PAGER_SLOT_LEAVING : PAGER_SLOT_FREE;
}

int pager_client_add_process(struct pager_client *client, const char *name, int userfaultfd,
			     const uint64_t *region_addresses, size_t region_count,
			     struct error *err)
{
	cleanup_fd int fd = userfaultfd;
	struct pager_slot *slot;

	if (addresses_check(client, region_addresses, region_count, err) < 0)
		return err->code;
	slot = slot_find_name(client, name);
	if (slot)
		slot_leave(slot);
	slot = slot_find_free(client);
	if (!slot)
		return error_set(err, -ENOSPC, "is one process too many for the pager");
	*slot = (struct pager_slot){.state = PAGER_SLOT_WANTED, .id = ++client->last_id};
	if (client->last_id == UINT32_MAX - 1)
		client->last_id = 0;
	(void)snprintf(slot->name, sizeof(slot->name), "%s", name);
	memcpy(slot->addresses, region_addresses, region_count * sizeof(*region_addresses));
	slot->userfaultfd = fd_steal(&fd);
	if (client->link)
		pager_link_pump(client->link);
	return 0;
}

void pager_client_remove_process(struct pager_client *client, const char *name)
{
	struct pager_slot *slot = slot_find_name(client, name);

	if (!slot)
		return;
	slot_leave(slot);
	if (client->link)
		pager_link_pump(client->link);
}

void pager_slots_forget_told(struct pager_client *client)
{
	for (unsigned i = 0; i < PAGER_SLOTS; i++) {
		if (client->slots[i].state == PAGER_SLOT_TOLD)
			client->slots[i].state = PAGER_SLOT_WANTED;
		else if (client->slots[i].state == PAGER_SLOT_LEAVING)
			client->slots[i].state = PAGER_SLOT_FREE;
	}
}

void pager_slots_close(struct pager_client *client)
{
	for (unsigned i = 0; i < PAGER_SLOTS; i++) {
		struct pager_slot *slot = &client->slots[i];

		if (client->complete && slot_is_live(slot))
			pager_client_release_process(client->loop, client->memory,
						     fd_steal(&slot->userfaultfd), slot->addresses,
						     client->memory->region_count);
		fd_close(&slot->userfaultfd);
		slot->state = PAGER_SLOT_FREE;
	}
}

/* ---- telling the pager ---- */

/* What an ADD_PROCESS that waits for its answer was about. */
struct pager_question {
	struct pager_link *link;
	uint32_t id;
};

static bool is_refusal(const struct error *err)
{
	/* Everything else is the conversation's own trouble and ends the link. */
	return err->code != -ETIMEDOUT && err->code != -ECONNRESET && err->code != -ECANCELED &&
	       err->code != -EPROTO;
}

static void on_added(void *opaque, struct channel_message *message, const struct error *err)
{
	struct pager_question *question = opaque;
	struct pager_link *link = question->link;
	struct pager_client *client = link->client;
	struct pager_slot *slot = client ? pager_slot_find(client, question->id) : NULL;

	free(question);
	link->in_flight--;
	if (!client)
		return;
	if (!message && !is_refusal(err)) {
		pager_link_lost(link, err);
		return;
	}
	pager_link_pump(link);
	if (!message && slot && slot->state == PAGER_SLOT_TOLD && client->callbacks->process_failed)
		client->callbacks->process_failed(client->opaque, slot->name, err);
}

static void on_removed(void *opaque, struct channel_message *message, const struct error *err)
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

static bool slot_tell_gone(struct pager_link *link, struct pager_slot *slot)
{
	Bulkhead__Pager__RemoveProcess body = BULKHEAD__PAGER__REMOVE_PROCESS__INIT;

	body.process = slot->id;
	slot->state = PAGER_SLOT_FREE;
	link->in_flight++;
	return pager_link_request(link, PAGER_MESSAGE(REMOVE_PROCESS), &body.base, NULL, 0,
				  on_removed, link);
}

static bool slot_tell_new(struct pager_link *link, struct pager_slot *slot)
{
	Bulkhead__Pager__AddProcess body = BULKHEAD__PAGER__ADD_PROCESS__INIT;
	struct pager_question *question = malloc(sizeof(*question));
	struct error err = ERROR_INIT;

	if (!question) {
		(void)error_set(&err, -ENOMEM, "out of memory");
		pager_link_lost(link, &err);
		return false;
	}
	*question = (struct pager_question){link, slot->id};
	body.process = slot->id;
	body.name = slot->name;
	body.region_addresses = slot->addresses;
	body.n_region_addresses = link->client->memory->region_count;
	slot->state = PAGER_SLOT_TOLD;
	link->in_flight++;
	if (pager_link_request(link, PAGER_MESSAGE(ADD_PROCESS), &body.base, &slot->userfaultfd, 1,
			       on_added, question))
		return true;
	free(question);
	return false;
}

bool pager_slots_tell(struct pager_link *link)
{
	struct pager_client *client = link->client;

	for (unsigned i = 0; i < PAGER_SLOTS; i++)
		if (client->slots[i].state == PAGER_SLOT_LEAVING)
			return slot_tell_gone(link, &client->slots[i]);
	for (unsigned i = 0; i < PAGER_SLOTS; i++)
		if (client->slots[i].state == PAGER_SLOT_WANTED)
			return slot_tell_new(link, &client->slots[i]);
	return false;
}
