/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/cleanup.h"

static void stream_update_watch(struct stream *stream)
{
	uint32_t events = stream->reading && !stream->input_ended ? EPOLLIN : 0;

	if (buffer_bytes(&stream->output) && !stream->failed)
		events |= EPOLLOUT;
	if (events != stream->events && loop_rewatch(stream->watch, events) == 0)
		stream->events = events;
}

void stream_drop_fds(struct stream *stream)
{
	for (unsigned i = 0; i < stream->fd_count; i++)
		fd_close(&stream->fds[i]);
	stream->fd_count = 0;
	stream->fds_lost = false;
}

/* Every descriptor that the kernel has given us is kept or closed. */
static void stream_take_fds(struct stream *stream, struct msghdr *message)
{
	bool lost = message->msg_flags & MSG_CTRUNC;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[STREAM_MAX_FDS];

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
		    count > STREAM_MAX_FDS)
			continue; /* the control buffer has no room for more than fit */
		memcpy(fds, CMSG_DATA(part), count * sizeof(int));
		for (size_t i = 0; i < count; i++) {
			if (stream->fd_count < STREAM_MAX_FDS) {
				stream->fds[stream->fd_count++] = fds[i];
				continue;
			}
			close(fds[i]);
			lost = true;
		}
	}
	if (!lost)
		return;
	stream_drop_fds(stream);
	stream->fds_lost = true;
}

/* True when something came that the owner should know of. */
static bool stream_read(struct stream *stream)
{
	union {
		char bytes[CMSG_SPACE(STREAM_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	char bytes[STREAM_READ_BYTES];
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(stream->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		stream->input_ended = true;
		stream->failed = stream->failed || got < 0;
		return true;
	}
	stream_take_fds(stream, &message);
	if (buffer_append(&stream->input, bytes, (size_t)got, SIZE_MAX) < 0)
		stream->failed = true;
	return true;
}

static void stream_flush(struct stream *stream)
{
	while (buffer_bytes(&stream->output) && !stream->failed) {
		struct iovec part = {.iov_base = stream->output.data + stream->output.begin,
				     .iov_len = buffer_bytes(&stream->output)};
		struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
		ssize_t sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			stream->failed = true;
		else
			buffer_consume(&stream->output, (size_t)sent);
	}
	if (stream->ending_output && !buffer_bytes(&stream->output) && !stream->failed)
		(void)shutdown(stream->fd, SHUT_WR);
}

static void stream_on_event(void *opaque, uint32_t events)
{
	struct stream *stream = opaque;
	bool had_output = buffer_bytes(&stream->output);
	bool readable = false;

	if (events & EPOLLOUT)
		stream_flush(stream);
	/* What was sent before the peer went is still read, and obeyed. */
	if (events & EPOLLIN && !stream->failed)
		readable = stream_read(stream);
	if (stream->failed || (events & (EPOLLHUP | EPOLLERR) && !readable)) {
		stream->callbacks->broken(stream->owner);
		return;
	}
	stream_update_watch(stream);
	/* One of them: the other's owner may be gone. Output that has drained first, since it may
	 * let the owner use the input too. */
	if (readable)
		stream->callbacks->readable(stream->owner);
	else if (had_output && !buffer_bytes(&stream->output))
		stream->callbacks->drained(stream->owner);
}

int stream_open(struct stream *stream, struct loop *loop, int fd,
		const struct stream_callbacks *callbacks, void *owner)
{
	*stream = (struct stream){.loop = loop,
				  .fd = fd,
				  .events = EPOLLIN,
				  .callbacks = callbacks,
				  .owner = owner,
				  .reading = true};
	stream->watch = loop_watch_fd(loop, fd, EPOLLIN, stream_on_event, stream);
	if (stream->watch)
		return 0;
	fd_close(&stream->fd);
	return -ENOMEM;
}

void stream_close(struct stream *stream)
{
	loop_unwatch(stream->watch);
	stream->watch = NULL;
	stream_drop_fds(stream);
	buffer_free(&stream->input);
	buffer_free(&stream->output);
	fd_close(&stream->fd);
}

void stream_set_reading(struct stream *stream, bool reading)
{
	stream->reading = reading;
	stream_update_watch(stream);
}

void stream_write(struct stream *stream, const void *data, size_t bytes)
{
	if (stream->failed || stream->ending_output)
		return;
	if (buffer_append(&stream->output, data, bytes, STREAM_MAX_OUTPUT_BYTES) < 0)
		stream->failed = true;
	else
		stream_flush(stream);
	/* The loop sees the hang-up even while the peer reads nothing. */
	if (stream->failed)
		(void)shutdown(stream->fd, SHUT_RDWR);
	stream_update_watch(stream);
}

bool stream_has_output(const struct stream *stream)
{
	return !stream->failed && buffer_bytes(&stream->output);
}

void stream_end_output(struct stream *stream)
{
	stream->ending_output = true;
	stream_flush(stream);
	stream_update_watch(stream);
}
