/* SPDX-License-Identifier: Apache-2.0 */
/* One received packet: every check there is, then its handler or the callback of its request. */
#include <errno.h>
#include <string.h>

#include "ipc/channel_parts.h"
#include "ipc/unpack.h"

/* At most CHANNEL_EVENT_BURST at once and CHANNEL_EVENTS_PER_SECOND in the long run. */
static bool take_event_token(struct channel *channel)
{
	uint64_t now_ms = channel_now_ms();
	uint64_t earned = (now_ms - channel->event_refill_ms) * CHANNEL_EVENTS_PER_SECOND / 1000;

	if (earned > 0) {
		uint64_t tokens = channel->event_tokens + earned;

		channel->event_tokens =
			tokens > CHANNEL_EVENT_BURST ? CHANNEL_EVENT_BURST : (uint32_t)tokens;
		channel->event_refill_ms = now_ms;
	}
	if (channel->event_tokens == 0)
		return false;
	channel->event_tokens--;
	return true;
}

/* Length, number of descriptors, content: what the row allows. Fills message->body. */
static int check_against_row(const struct channel_row *row, struct channel_message *message,
			     ProtobufCMessage **body, struct error *err)
{
	size_t max_bytes = row->max_payload_bytes ? row->max_payload_bytes : CHANNEL_MAX_PAYLOAD;

	if (!row->descriptor)
		max_bytes = 0;
	if (message->payload_bytes > max_bytes)
		return error_set(err, -EPROTO, "sent %s with %zu bytes, more than %zu", row->name,
				 message->payload_bytes, max_bytes);
	if (message->fd_count < row->min_fds || message->fd_count > row->max_fds)
		return error_set(err, -EPROTO,
				 "sent %s with %u file descriptors, expected %u to %u", row->name,
				 message->fd_count, row->min_fds, row->max_fds);
	if (!row->descriptor)
		return 0;
	if (unpack_message(row->descriptor, message->payload, message->payload_bytes, body, err) <
	    0)
		return error_prefix(err, "sent %s", row->name);
	message->body = *body;
	return 0;
}

static void free_body(ProtobufCMessage *body)
{
	if (body)
		protobuf_c_message_free_unpacked(body, NULL);
}

static int check_state(const struct channel *channel, const struct channel_row *row,
		       struct error *err)
{
	unsigned state = channel->callbacks.state ? channel->callbacks.state(channel->owner) : 0;

	if (row->legal_states == 0 || (state < 32 && (row->legal_states & (1U << state))))
		return 0;
	return error_set(err, -EPROTO, "sent %s, which is not legal in state %u", row->name, state);
}

static int run_handler(struct channel *channel, const struct channel_row *row,
		       struct channel_message *message, struct error *err)
{
	int result;

	channel->callback_depth++;
	result = row->handler(channel->owner, message, err);
	channel->callback_depth--;
	if (result >= 0)
		return 0;
	if (err->code == 0)
		error_set_errno(err, result, "refused");
	err->code = -EPROTO;
	error_prefix(err, "sent a bad %s", row->name);
	return -EPROTO;
}

/* A request or an event of the peer. */
static int handle_incoming(struct channel *channel, struct channel_message *message,
			   struct error *err)
{
	const struct channel_row *row = channel_find_row(channel, message->type, message->kind);
	ProtobufCMessage *body = NULL;
	int result;

	if (!row || !row->handler)
		return error_set(err, -EPROTO, "sent an unknown %s (type %u)",
				 frame_kind_name(message->kind), message->type);
	if (message->kind == FRAME_EVENT && !take_event_token(channel))
		return error_set(err, -EPROTO, "floods us with events (the last was %s)",
				 row->name);
	result = check_state(channel, row, err);
	if (result == 0)
		result = check_against_row(row, message, &body, err);
	if (result == 0)
		result = run_handler(channel, row, message, err);
	free_body(body);
	return result;
}

/* The peer's text, for people: one line, nothing that a terminal would obey. */
static void copy_error_reply(const struct channel *channel, const struct channel_message *message,
			     int code, struct error *failure)
{
	char text[ERROR_MESSAGE_SIZE];
	size_t bytes =
		message->payload_bytes < sizeof(text) ? message->payload_bytes : sizeof(text) - 1;

	memcpy(text, message->payload, bytes);
	for (size_t i = 0; i < bytes; i++) {
		uint8_t byte = message->payload[i];

		if (byte < 0x20 || byte == 0x7f)
			text[i] = '?';
	}
	text[bytes] = '\0';
	error_set(failure, code, "%s: %s", channel->peer, bytes ? text : strerror(-code));
}

static int reject_unexpected_reply(struct channel *channel, const struct channel_message *message,
				   struct error *err)
{
	struct pending_late late;

	if (!pending_take_late(&channel->pending, message->id, &late))
		return error_set(err, -EPROTO, "sent a reply to nothing (type %u, id %u)",
				 message->type, message->id);
	if (late.type != message->type)
		return error_set(err, -EPROTO, "answered request %u of type %u with type %u",
				 message->id, late.type, message->type);
	return 0; /* too late: dropped */
}

/*
 * A bad reply still completes its request, with the same error that then closes the channel: the
 * callback runs exactly once.
 */
static int complete_request(struct channel *channel, const struct pending_request *request,
			    struct channel_message *message, int code, struct error *err)
{
	const struct channel_row *row = channel_find_row(channel, request->type, FRAME_REPLY);
	struct error outcome = ERROR_INIT;
	ProtobufCMessage *body = NULL;
	int result = 0;

	if (request->type != message->type)
		result = error_set(err, -EPROTO, "answered request %u of type %u with type %u",
				   message->id, request->type, message->type);
	else if (code != 0)
		copy_error_reply(channel, message, code, &outcome);
	else
		result = check_against_row(row, message, &body, err);
	if (result < 0)
		error_set(&outcome, err->code, "%s: %s", channel->peer, err->message);
	channel_complete(channel, request, outcome.code ? NULL : message, &outcome);
	free_body(body);
	return result;
}

static int handle_packet(struct channel *channel, struct packet *packet, struct error *err)
{
	struct channel_message message = {.fd_count = packet->fd_count};
	struct pending_request request;
	struct frame_header header;
	int result =
		frame_check(channel->receive_buffer, packet->bytes, packet->fd_count, &header, err);

	if (result < 0)
		return result;
	message.kind = (enum frame_kind)header.kind;
	message.type = header.type;
	message.id = header.id;
	message.payload = channel->receive_buffer + sizeof(header);
	message.payload_bytes = header.payload_bytes;
	memcpy(message.fds, packet->fds, packet->fd_count * sizeof(packet->fds[0]));
	packet->fd_count = 0;

	if (message.kind != FRAME_REPLY)
		result = handle_incoming(channel, &message, err);
	else if (pending_take(&channel->pending, message.id, &request))
		result = complete_request(channel, &request, &message, header.error_code, err);
	else
		result = reject_unexpected_reply(channel, &message, err);

	/* What the owner did not steal goes; the count may have been changed by it. */
	memcpy(packet->fds, message.fds, header.fd_count * sizeof(packet->fds[0]));
	packet->fd_count = header.fd_count;
	return result;
}

int channel_receive_one(struct channel *channel)
{
	struct error err = ERROR_INIT;
	struct packet packet;
	int result = packet_receive(channel->fd, channel->receive_buffer, FRAME_MAX_BYTES, &packet,
				    &err);

	if (result == -EAGAIN)
		return 0;
	/* The peer died with unread packets; what it sent before can still be read. */
	if (result == -ECONNRESET)
		return 1;
	if (result == 1) {
		result = handle_packet(channel, &packet, &err);
		packet_close_fds(&packet);
		if (result == 0)
			return 1;
	} else if (result == 0) {
		error_set(&err, -ECONNRESET, "closed the connection");
	}
	channel_cut_off(channel, &err);
	return -ECONNRESET;
}
