/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the channel*.c files share; nobody else includes it. channel.c: life and dispatch;
 * channel_send.c: everything outgoing; channel_receive.c: checks and handlers for one received
 * packet; channel_call.c: the synchronous call.
 */
#ifndef BULKHEAD_IPC_CHANNEL_PARTS_H
#define BULKHEAD_IPC_CHANNEL_PARTS_H

#include "ipc/channel.h"
#include "ipc/output_queue.h"
#include "ipc/packet.h"
#include "ipc/pending.h"

struct channel {
	int fd;
	char *peer;
	const struct channel_row *rows;
	size_t row_count;
	struct channel_callbacks callbacks;
	void *owner;

	struct pending_table pending;
	struct output_queue output;
	uint8_t *receive_buffer; /* FRAME_MAX_BYTES each, allocated once: */
	uint8_t *send_buffer;	 /* sending and receiving allocate nothing in the usual case */

	unsigned callback_depth; /* > 0: a handler or callback of the owner is running */
	bool closed;
	/* Set where the channel may not be closed (inside a send); closes at the next chance. */
	struct error failure;

	uint32_t event_tokens;
	uint64_t event_refill_ms;
};

const struct channel_row *channel_find_row(const struct channel *channel, uint16_t type,
					   enum frame_kind kind);

/* Close now: pending requests, closed(), fd. why->message starts with the peer's name. */
void channel_close(struct channel *channel, const struct error *why);

/* Close now because of what the peer did: why->message ("sent …") gets the peer's name in front. */
void channel_cut_off(struct channel *channel, struct error *why);

/* Call a reply callback, guarded against channel_destroy() from inside. */
void channel_complete(struct channel *channel, const struct pending_request *request,
		      struct channel_message *message, const struct error *err);

/* Receive and handle one packet. 1: one was handled; 0: nothing there; negative: now closed. */
int channel_receive_one(struct channel *channel);

#endif
