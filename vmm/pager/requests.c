/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of proto/pager.proto. The channel has checked type, length, fds and state. */
#include <errno.h>

#include "ipc/cleanup.h"
#include "vmm/pager/pager.h"

#define IN_STARTING   (1U << BULKHEAD__PAGER__STATE__STATE_STARTING)
#define IN_CONFIGURED (1U << BULKHEAD__PAGER__STATE__STATE_CONFIGURED)

static void answer(struct pager *pager, const struct channel_message *message,
		   const ProtobufCMessage *body, const struct error *failure)
{
	if (failure && failure->code != 0)
		(void)channel_reply_error(pager->channel, message->type, message->id, failure);
	else
		(void)channel_reply(pager->channel, message->type, message->id, body, NULL, 0,
				    NULL);
}

static int on_configure(void *owner, struct channel_message *message, struct error *err)
{
	struct pager *pager = owner;
	struct error failure = ERROR_INIT;

	(void)err;
	(void)pager_configure(pager, (const void *)message->body, message->fds, message->fd_count,
			      &failure);
	answer(pager, message, NULL, &failure);
	/* Half configured: this process cannot be tried again. The core lets go of it. */
	return 0;
}

static int on_add_process(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Pager__AddProcess *body = (const void *)message->body;
	struct pager *pager = owner;
	struct error failure = ERROR_INIT;

	if (body->process == 0 || body->process == PAGER_CORE ||
	    body->n_region_addresses != pager->region_count)
		return error_set(err, -EPROTO, "adds a process that cannot be");
	if (pager_process_add(pager, body->process, body->name, message->fds[0],
			      body->region_addresses, &failure) == 0)
		(void)fd_steal(&message->fds[0]);
	answer(pager, message, NULL, &failure);
	return 0;
}

static int on_remove_process(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Pager__RemoveProcess *body = (const void *)message->body;

	if (body->process == PAGER_CORE)
		return error_set(err, -EPROTO, "removes itself");
	pager_process_remove(owner, body->process);
	answer(owner, message, NULL, NULL);
	return 0;
}

static int on_prefault(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Pager__Prefault *body = (const void *)message->body;

	(void)err;
	answer(owner, message, NULL, NULL);
	pager_prefault_set(owner, body->start);
	return 0;
}

static int on_stats(void *owner, struct channel_message *message, struct error *err)
{
	struct pager *pager = owner;

	(void)err;
	answer(pager, message, &pager->stats.base, NULL);
	return 0;
}

const struct channel_row pager_rows[] = {
	{.type = PAGER_MESSAGE(CONFIGURE),
	 .kind = FRAME_REQUEST,
	 .name = "configure",
	 .descriptor = &bulkhead__pager__configure__descriptor,
	 .min_fds = 3,
	 .max_fds = 2 + GUEST_MEMORY_MAX_REGIONS,
	 .legal_states = IN_STARTING,
	 .handler = on_configure},
	{.type = PAGER_MESSAGE(ADD_PROCESS),
	 .kind = FRAME_REQUEST,
	 .name = "add-process",
	 .descriptor = &bulkhead__pager__add_process__descriptor,
	 .min_fds = 1,
	 .max_fds = 1,
	 .legal_states = IN_CONFIGURED,
	 .handler = on_add_process},
	{.type = PAGER_MESSAGE(REMOVE_PROCESS),
	 .kind = FRAME_REQUEST,
	 .name = "remove-process",
	 .descriptor = &bulkhead__pager__remove_process__descriptor,
	 .legal_states = IN_CONFIGURED,
	 .handler = on_remove_process},
	{.type = PAGER_MESSAGE(PREFAULT),
	 .kind = FRAME_REQUEST,
	 .name = "prefault",
	 .descriptor = &bulkhead__pager__prefault__descriptor,
	 .legal_states = IN_CONFIGURED,
	 .handler = on_prefault},
	{.type = PAGER_MESSAGE(STATS),
	 .kind = FRAME_REQUEST,
	 .name = "stats",
	 .descriptor = &bulkhead__pager__empty__descriptor,
	 .legal_states = IN_CONFIGURED,
	 .handler = on_stats},
};
const size_t pager_row_count = sizeof(pager_rows) / sizeof(pager_rows[0]);
