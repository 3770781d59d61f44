/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "ipc/channel_parts.h"
#include "ipc/cleanup.h"

#define DEFAULT_MAX_PACKETS 16
#define SOCKET_BUFFER_BYTES (240 * 1024) /* four of the longest packets */

uint64_t channel_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int channel_socketpair(int fds[2], struct error *err)
{
	int buffer_bytes = SOCKET_BUFFER_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_set_errno(err, -errno, "socketpair");
	for (int i = 0; i < 2; i++) {
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes)) <
		    0) {
			int result = error_set_errno(err, -errno, "SO_SNDBUF");

			fd_close(&fds[0]);
			fd_close(&fds[1]);
			return result;
		}
	}
	return 0;
}

static int prepare_socket(int fd, struct error *err)
{
	int type = 0;
	socklen_t length = sizeof(type);
	int flags;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
		return error_set_errno(err, -errno, "SO_TYPE");
	if (type != SOCK_SEQPACKET)
		return error_set(err, -EPROTOTYPE, "fd %d is not a SOCK_SEQPACKET socket", fd);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set_errno(err, -errno, "fcntl");
	return 0;
}

struct channel *channel_new(int fd, const char *peer, const struct channel_row *rows,
			    size_t row_count, const struct channel_callbacks *callbacks,
			    void *owner, struct error *err)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		goto no_memory;
	channel->fd = -1;
	channel->rows = rows;
	channel->row_count = row_count;
	channel->owner = owner;
	if (callbacks)
		channel->callbacks = *callbacks;
	channel->event_tokens = CHANNEL_EVENT_BURST;
	channel->event_refill_ms = channel_now_ms();
	channel->peer = strdup(peer);
	channel->receive_buffer = malloc(FRAME_MAX_BYTES);
	channel->send_buffer = malloc(FRAME_MAX_BYTES);
	if (!channel->peer || !channel->receive_buffer || !channel->send_buffer)
		goto no_memory;
	if (prepare_socket(fd, err) < 0) {
		error_prefix(err, "%s", peer);
		goto fail;
	}
	channel->fd = fd;
	return channel;

no_memory:
	error_set_errno(err, -ENOMEM, "%s", peer);
fail:
	channel_destroy(channel);
	return NULL;
}

void channel_complete(struct channel *channel, const struct pending_request *request,
		      struct channel_message *message, const struct error *err)
{
	channel->callback_depth++;
	request->callback(request->opaque, message, err);
	channel->callback_depth--;
}

static void fail_all_pending(struct channel *channel, const struct error *why)
{
	struct pending_request request;

	while (pending_take_first(&channel->pending, &request))
		channel_complete(channel, &request, NULL, why);
}

void channel_close(struct channel *channel, const struct error *why)
{
	struct error reason = *why;

	if (channel->closed)
		return;
	channel->closed = true;
	output_queue_clear(&channel->output);
	fail_all_pending(channel, &reason);
	if (channel->callbacks.closed) {
		channel->callback_depth++;
		channel->callbacks.closed(channel->owner, &reason);
		channel->callback_depth--;
	}
	fd_close(&channel->fd);
}

void channel_cut_off(struct channel *channel, struct error *why)
{
	error_prefix(why, "%s", channel->peer);
	channel_close(channel, why);
}

void channel_destroy(struct channel *channel)
{
	struct error canceled = ERROR_INIT;

	if (!channel)
		return;
	assert(channel->callback_depth == 0);
	channel->closed = true;
	error_set(&canceled, -ECANCELED, "%s: the channel was closed here",
		  channel->peer ? channel->peer : "?");
	fail_all_pending(channel, &canceled);
	output_queue_clear(&channel->output);
	fd_close(&channel->fd);
	free(channel->receive_buffer);
	free(channel->send_buffer);
	free(channel->peer);
	free(channel);
}

int channel_fd(const struct channel *channel)
{
	return channel->closed ? -1 : channel->fd;
}

short channel_poll_events(const struct channel *channel)
{
	if (channel->closed)
		return 0;
	return output_queue_is_empty(&channel->output) ? POLLIN : POLLIN | POLLOUT;
}

const char *channel_peer(const struct channel *channel)
{
	return channel->peer;
}

const struct channel_row *channel_find_row(const struct channel *channel, uint16_t type,
					   enum frame_kind kind)
{
	for (size_t i = 0; i < channel->row_count; i++)
		if (channel->rows[i].type == type && channel->rows[i].kind == kind)
			return &channel->rows[i];
	return NULL;
}

/*
 * A send error that says that the peer is gone is not acted upon: what it sent before is still to
 * be read, then comes the end of the stream.
 */
static void flush_output(struct channel *channel)
{
	int result = output_queue_flush(&channel->output, channel->fd);

	if (result == 0)
		return;
	output_queue_clear(&channel->output);
	if (result != -EPIPE && result != -ECONNRESET && channel->failure.code == 0)
		error_set_errno(&channel->failure, result, "%s: send", channel->peer);
}

static int close_if_failed(struct channel *channel)
{
	if (!channel->closed && channel->failure.code != 0)
		channel_close(channel, &channel->failure);
	return channel->closed ? -ECONNRESET : 0;
}

int channel_dispatch(struct channel *channel, unsigned max_packets)
{
	int result = 1;

	assert(channel->callback_depth == 0);
	if (max_packets == 0)
		max_packets = DEFAULT_MAX_PACKETS;
	if (close_if_failed(channel) < 0)
		return -ECONNRESET;
	flush_output(channel);
	while (result > 0 && max_packets-- > 0) {
		result = channel_receive_one(channel);
		if (close_if_failed(channel) < 0)
			return -ECONNRESET;
	}
	flush_output(channel);
	return close_if_failed(channel);
}

uint64_t channel_next_deadline_ms(const struct channel *channel)
{
	if (channel->closed)
		return UINT64_MAX;
	return channel->failure.code != 0 ? 0 : pending_next_deadline_ms(&channel->pending);
}

/* Remember the request for its late reply, before its callback may do anything. */
static int expire_one(struct channel *channel, const struct pending_request *request)
{
	const struct channel_row *row = channel_find_row(channel, request->type, FRAME_REPLY);
	struct error err = ERROR_INIT;
	int result = pending_add_late(&channel->pending, request);

	error_set(&err, -ETIMEDOUT, "%s: no answer to %s within %u ms", channel->peer,
		  row ? row->name : "a request", request->timeout_ms);
	channel_complete(channel, request, NULL, &err);
	if (result == 0)
		return 0;
	error_set(&err, -EPROTO, "left %d requests without an answer", PENDING_MAX_LATE + 1);
	channel_cut_off(channel, &err);
	return result;
}

void channel_expire(struct channel *channel, uint64_t now_ms)
{
	struct pending_request request;

	assert(channel->callback_depth == 0);
	if (close_if_failed(channel) < 0)
		return;
	while (!channel->closed && pending_take_expired(&channel->pending, now_ms, &request))
		if (expire_one(channel, &request) < 0)
			return;
	close_if_failed(channel);
}
