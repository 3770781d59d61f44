/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a channel sends: requests, replies, events. */
#include <errno.h>
#include <string.h>

#include "ipc/channel_parts.h"

static bool peer_is_gone(int result)
{
	return result == -EPIPE || result == -ECONNRESET || result == -ENOTCONN;
}

/* Send the packet in send_buffer, or queue it behind what waits already. */
static int send_or_queue(struct channel *channel, size_t bytes, const int *fds, unsigned fd_count,
			 struct error *err)
{
	int result = -EAGAIN;

	if (output_queue_is_empty(&channel->output))
		result = packet_send(channel->fd, channel->send_buffer, bytes, fds, fd_count);
	if (result == -EAGAIN) {
		result = output_queue_append(&channel->output, channel->send_buffer, bytes, fds,
					     fd_count);
		if (result == -ENOBUFS) {
			error_set(&channel->failure, -EPROTO,
				  "%s does not read what is sent to it (%zu bytes wait)",
				  channel->peer, channel->output.charged_bytes);
			return error_set(err, result, "%s", channel->failure.message);
		}
	}
	if (peer_is_gone(result))
		return error_set(err, -ECONNRESET, "%s: closed the connection", channel->peer);
	if (result < 0)
		return error_set_errno(err, result, "%s: send", channel->peer);
	return 0;
}

static int check_sendable(const struct channel *channel, size_t payload_bytes, unsigned fd_count,
			  struct error *err)
{
	if (channel->closed || channel->failure.code != 0)
		return error_set(err, -ECONNRESET, "%s: the channel is closed", channel->peer);
	if (payload_bytes > CHANNEL_MAX_PAYLOAD)
		return error_set(err, -EMSGSIZE, "%s: a message of %zu bytes is too long",
				 channel->peer, payload_bytes);
	if (fd_count > CHANNEL_MAX_FDS)
		return error_set(err, -EINVAL, "%s: %u descriptors are too many", channel->peer,
				 fd_count);
	return 0;
}

static int send_message(struct channel *channel, enum frame_kind kind, uint16_t type, uint32_t id,
			const ProtobufCMessage *body, const int *fds, unsigned fd_count,
			struct error *err)
{
	size_t payload_bytes = body ? protobuf_c_message_get_packed_size(body) : 0;
	uint8_t *payload = channel->send_buffer + sizeof(struct frame_header);
	struct frame_header header;
	int result = check_sendable(channel, payload_bytes, fd_count, err);

	if (result < 0)
		return result;
	frame_header_init(&header, kind, type, id, 0, payload_bytes, fd_count);
	memcpy(channel->send_buffer, &header, sizeof(header));
	if (body)
		protobuf_c_message_pack(body, payload);
	return send_or_queue(channel, sizeof(header) + payload_bytes, fds, fd_count, err);
}

int channel_request(struct channel *channel, uint16_t type, const ProtobufCMessage *body,
		    const int *fds, unsigned fd_count, uint32_t timeout_ms,
		    channel_reply_fn callback, void *opaque, struct error *err)
{
	struct pending_request request = {
		.type = type,
		.timeout_ms = timeout_ms,
		.deadline_ms = channel_now_ms() + timeout_ms,
		.callback = callback,
		.opaque = opaque,
	};
	int result;

	if (!channel_find_row(channel, type, FRAME_REPLY))
		return error_set(err, -EINVAL, "%s: no row for the reply to request %u",
				 channel->peer, type);
	if (pending_add(&channel->pending, &request) < 0)
		return error_set(err, -EBUSY, "%s: %d requests wait for an answer already",
				 channel->peer, CHANNEL_MAX_PENDING);
	result = send_message(channel, FRAME_REQUEST, type, request.id, body, fds, fd_count, err);
	if (result < 0)
		pending_take(&channel->pending, request.id, &request);
	return result;
}

int channel_reply(struct channel *channel, uint16_t type, uint32_t id, const ProtobufCMessage *body,
		  const int *fds, unsigned fd_count, struct error *err)
{
	return send_message(channel, FRAME_REPLY, type, id, body, fds, fd_count, err);
}

int channel_reply_error(struct channel *channel, uint16_t type, uint32_t id,
			const struct error *failure)
{
	size_t text_bytes = strnlen(failure->message, ERROR_MESSAGE_SIZE - 1);
	int code = failure->code < 0 && failure->code >= -FRAME_MAX_ERRNO ? failure->code : -EIO;
	struct frame_header header;
	int result = check_sendable(channel, text_bytes, 0, NULL);

	if (result < 0)
		return result;
	frame_header_init(&header, FRAME_REPLY, type, id, code, text_bytes, 0);
	memcpy(channel->send_buffer, &header, sizeof(header));
	memcpy(channel->send_buffer + sizeof(header), failure->message, text_bytes);
	return send_or_queue(channel, sizeof(header) + text_bytes, NULL, 0, NULL);
}

int channel_event(struct channel *channel, uint16_t type, const ProtobufCMessage *body,
		  const int *fds, unsigned fd_count, struct error *err)
{
	return send_message(channel, FRAME_EVENT, type, 0, body, fds, fd_count, err);
}
