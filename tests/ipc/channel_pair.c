/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ipc/channel_pair.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "ipc/cleanup.h"

static int on_request(void *owner, struct channel_message *message, struct error *err)
{
	struct endpoint *endpoint = owner;

	endpoint->requests++;
	endpoint->last_id = message->id;
	if (endpoint->refuse)
		return error_set(err, -EINVAL, "the handler refuses");
	if (endpoint->steal_fd && message->fd_count > 0)
		endpoint->stolen_fd = fd_steal(&message->fds[0]);
	if (endpoint->send_from_handler)
		assert_int_equal(channel_pair_request(endpoint, message->type, 1000), 0);
	if (endpoint->answer)
		assert_int_equal(channel_reply(endpoint->channel, message->type, message->id, NULL,
					       NULL, 0, err),
				 0);
	return 0;
}

static int on_event(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Worker__NeedsReset *body = (const void *)message->body;
	struct endpoint *endpoint = owner;

	(void)err;
	endpoint->events++;
	(void)snprintf(endpoint->last_reason, sizeof(endpoint->last_reason), "%s", body->reason);
	return 0;
}

static const struct channel_row rows[] = {
	{.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_QUIESCE,
	 .kind = FRAME_REQUEST,
	 .name = "quiesce",
	 .legal_states = 1U << STATE_IDLE,
	 .handler = on_request},
	{.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_QUIESCE,
	 .kind = FRAME_REPLY,
	 .name = "quiesce"},
	{.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS,
	 .kind = FRAME_REQUEST,
	 .name = "stats",
	 .handler = on_request},
	{.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_STATS,
	 .kind = FRAME_REPLY,
	 .name = "stats",
	 .descriptor = &bulkhead__worker__stats__descriptor},
	{.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_DIRTY_LOG,
	 .kind = FRAME_REQUEST,
	 .name = "dirty-log",
	 .min_fds = 1,
	 .max_fds = 1,
	 .handler = on_request},
	{.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_DIRTY_LOG,
	 .kind = FRAME_REPLY,
	 .name = "dirty-log"},
	{.type = BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_NEEDS_RESET,
	 .kind = FRAME_EVENT,
	 .name = "needs-reset",
	 .descriptor = &bulkhead__worker__needs_reset__descriptor,
	 .max_payload_bytes = 1024,
	 .handler = on_event},
};

static unsigned present_state(void *owner)
{
	return ((const struct endpoint *)owner)->state;
}

static void on_closed(void *owner, const struct error *err)
{
	struct endpoint *endpoint = owner;

	endpoint->closed++;
	endpoint->closed_error = *err;
}

static const struct channel_callbacks callbacks = {.state = present_state, .closed = on_closed};

static void endpoint_open(struct endpoint *endpoint, int fd, const char *peer)
{
	struct error err = ERROR_INIT;

	endpoint->stolen_fd = -1;
	endpoint->answer = true;
	endpoint->channel = channel_new(fd, peer, rows, sizeof(rows) / sizeof(rows[0]), &callbacks,
					endpoint, &err);
	assert_non_null(endpoint->channel);
}

static int setup(void **state, bool raw)
{
	struct channel_pair *pair = calloc(1, sizeof(*pair));
	struct error err = ERROR_INIT;
	int fds[2];

	assert_non_null(pair);
	assert_int_equal(channel_socketpair(fds, &err), 0);
	pair->raw_fd = raw ? fds[1] : -1;
	endpoint_open(&pair->ours, fds[0], "blk \"root\"");
	if (!raw)
		endpoint_open(&pair->theirs, fds[1], "core");
	*state = pair;
	return 0;
}

int channel_pair_setup(void **state)
{
	return setup(state, false);
}

int channel_pair_setup_raw(void **state)
{
	return setup(state, true);
}

int channel_pair_teardown(void **state)
{
	struct channel_pair *pair = *state;

	channel_destroy(pair->ours.channel);
	channel_destroy(pair->theirs.channel);
	fd_close(&pair->ours.stolen_fd);
	if (pair->raw_fd < 0)
		fd_close(&pair->theirs.stolen_fd);
	fd_close(&pair->raw_fd);
	free(pair);
	return 0;
}

void channel_pair_on_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct endpoint *endpoint = opaque;

	if (message) {
		assert_int_equal(err->code, 0);
		endpoint->replies++;
		return;
	}
	assert_true(err->code < 0);
	endpoint->reply_errors++;
	endpoint->reply_error = *err;
}

int channel_pair_request(struct endpoint *endpoint, uint16_t type, uint32_t timeout_ms)
{
	struct error err = ERROR_INIT;

	return channel_request(endpoint->channel, type, NULL, NULL, 0, timeout_ms,
			       channel_pair_on_reply, endpoint, &err);
}

void raw_frame_init(struct raw_frame *frame, enum frame_kind kind, uint16_t type, uint32_t id)
{
	memset(frame, 0, sizeof(*frame));
	frame_header_init(&frame->header, kind, type, id, 0, 0, 0);
}

void raw_frame_send(const struct channel_pair *pair, const struct raw_frame *frame)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 253)];
		struct cmsghdr alignment;
	} control;
	struct iovec iov[2] = {
		{.iov_base = (void *)(uintptr_t)&frame->header, .iov_len = sizeof(frame->header)},
		{.iov_base = (void *)(uintptr_t)frame->payload,
		 .iov_len = frame->header.payload_bytes},
	};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

	if (frame->bytes > 0 && frame->bytes <= sizeof(frame->header)) {
		iov[0].iov_len = frame->bytes;
		iov[1].iov_len = 0;
	} else if (frame->bytes > 0) {
		iov[1].iov_len = frame->bytes - sizeof(frame->header);
	}
	if (frame->fd_count > 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * frame->fd_count);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * frame->fd_count);
		for (unsigned i = 0; i < frame->fd_count; i++)
			memcpy(CMSG_DATA(header) + i * sizeof(int), &pair->raw_fd, sizeof(int));
	}
	assert_true(sendmsg(pair->raw_fd, &message, MSG_NOSIGNAL) > 0);
}

unsigned count_open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}
