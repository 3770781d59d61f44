/* SPDX-License-Identifier: Apache-2.0 */
/* The synchronous call, for start-up code that has no loop yet. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "ipc/channel_parts.h"
#include "ipc/cleanup.h"
#include "ipc/unpack.h"

struct sync_call {
	bool done;
	const ProtobufCMessageDescriptor *descriptor;
	ProtobufCMessage **reply_body;
	int *reply_fds;
	unsigned *reply_fd_count;
	struct error *err;
	int result;
};

/* The channel frees its own copy of the body after the callback, so that the caller's is unpacked
 * once more. */
static void on_sync_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct sync_call *call = opaque;
	unsigned capacity = call->reply_fd_count ? *call->reply_fd_count : 0;
	unsigned moved = 0;

	call->done = true;
	if (!message) {
		call->result = error_set(call->err, err->code, "%s", err->message);
		return;
	}
	if (call->reply_body && call->descriptor) {
		call->result = unpack_message(call->descriptor, message->payload,
					      message->payload_bytes, call->reply_body, call->err);
		if (call->result < 0)
			return;
	}
	while (moved < message->fd_count && moved < capacity) {
		call->reply_fds[moved] = fd_steal(&message->fds[moved]);
		moved++;
	}
	if (call->reply_fd_count)
		*call->reply_fd_count = moved;
}

static void wait_for_activity(const struct channel *channel)
{
	struct pollfd poll_fd = {.fd = channel_fd(channel), .events = channel_poll_events(channel)};
	uint64_t deadline_ms = channel_next_deadline_ms(channel);
	uint64_t now_ms = channel_now_ms();
	uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;

	(void)poll(&poll_fd, 1, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);
}

int channel_call_sync(struct channel *channel, uint16_t type, const ProtobufCMessage *body,
		      const int *fds, unsigned fd_count, uint32_t timeout_ms,
		      ProtobufCMessage **reply_body, int *reply_fds, unsigned *reply_fd_count,
		      struct error *err)
{
	const struct channel_row *row = channel_find_row(channel, type, FRAME_REPLY);
	struct sync_call call = {
		.descriptor = row ? row->descriptor : NULL,
		.reply_body = reply_body,
		.reply_fds = reply_fds,
		.reply_fd_count = reply_fd_count,
		.err = err,
	};
	int result;

	assert(channel->callback_depth == 0);
	if (reply_body)
		*reply_body = NULL;
	result = channel_request(channel, type, body, fds, fd_count, timeout_ms, on_sync_reply,
				 &call, err);
	if (result == 0) {
		while (!call.done) {
			wait_for_activity(channel);
			(void)channel_dispatch(channel, 1);
			if (!call.done)
				channel_expire(channel, channel_now_ms());
		}
		result = call.result;
	}
	if (result < 0 && reply_fd_count)
		*reply_fd_count = 0;
	return result;
}
