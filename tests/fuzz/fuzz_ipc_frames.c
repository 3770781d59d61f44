/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel whose peer sends what the fuzzer made up. The input is a sequence of packets, each with
 * a length, a shape (bare bytes, or a valid header around them so that the fuzzer reaches the
 * message parsers) and a number of descriptors. The rows are those of both protocols that a worker
 * or the core accepts. Whatever comes, the channel closes or goes on, and no descriptor is left.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "ipc/packet.h"
#include "proto/broker.pb-c.h"
#include "proto/worker.pb-c.h"

#define MAX_PACKETS 8

struct fuzz_owner {
	struct channel *channel;
	unsigned state;
	unsigned answers;
};

static int on_message(void *owner, struct channel_message *message, struct error *err)
{
	struct fuzz_owner *fuzz = owner;

	fuzz->state = (fuzz->state + 1) % 5;
	if (message->fd_count > 0 && message->id % 2)
		close(fd_steal(&message->fds[0]));
	if (message->kind == FRAME_REQUEST)
		(void)channel_reply(fuzz->channel, message->type, message->id, message->body, NULL,
				    0, err);
	return 0;
}

static void on_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct fuzz_owner *fuzz = opaque;

	if (!message == !err->code)
		abort();
	fuzz->answers++;
}

static unsigned present_state(void *owner)
{
	return ((const struct fuzz_owner *)owner)->state;
}

#define REQUEST(number, descriptor_name, fds, states)                                              \
	{                                                                                          \
		.type = (number), .kind = FRAME_REQUEST, .name = #descriptor_name,                 \
		.descriptor = &bulkhead__##descriptor_name##__descriptor, .max_fds = (fds),        \
		.legal_states = (states), .handler = on_message                                    \
	}
#define REPLY(number, descriptor_name)                                                             \
	{                                                                                          \
		.type = (number), .kind = FRAME_REPLY, .name = #descriptor_name,                   \
		.descriptor = &bulkhead__##descriptor_name##__descriptor, .max_fds = 1             \
	}
#define EVENT(number, descriptor_name)                                                             \
	{                                                                                          \
		.type = (number), .kind = FRAME_EVENT, .name = #descriptor_name,                   \
		.descriptor = &bulkhead__##descriptor_name##__descriptor, .handler = on_message    \
	}

static const struct channel_row rows[] = {
	REQUEST(1, worker__configure, 8, 1),
	REQUEST(2, worker__activate, 64, 6),
	REQUEST(3, worker__empty, 0, 0),
	REQUEST(7, worker__update, 2, 0),
	REQUEST(8, worker__dirty_log, 1, 0),
	REPLY(1, worker__configured),
	REPLY(2, worker__empty),
	REPLY(5, worker__state_reply),
	REPLY(9, worker__stats),
	EVENT(32, worker__config_changed),
	EVENT(33, worker__needs_reset),
	REQUEST(17, broker__declare, 0, 0),
	REQUEST(18, broker__spawn, 2, 0),
	EVENT(34, broker__exited),
	EVENT(35, broker__violation),
	REQUEST(20, worker__saved_state, 0, 0),
};
static const struct channel_callbacks callbacks = {.state = present_state};

struct input {
	const uint8_t *data;
	size_t left;
};

static uint8_t take_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->data++;
}

/* One packet of the input; false when it is used up. */
static bool send_packet(int fd, struct input *input)
{
	static uint8_t packet[FRAME_MAX_BYTES];
	uint8_t shape = take_byte(input);
	unsigned fd_count = (shape & 0x80) ? take_byte(input) % (FRAME_MAX_FDS + 1) : 0;
	size_t bytes = (size_t)take_byte(input) << 4;
	int fds[FRAME_MAX_FDS];
	struct frame_header header;
	size_t offset = 0;

	if (input->left == 0)
		return false;
	for (unsigned i = 0; i < fd_count; i++)
		fds[i] = fd;
	if (shape & 3) {
		uint8_t type = take_byte(input);

		frame_header_init(&header, (enum frame_kind)(shape & 3), type,
				  (shape & 3) == FRAME_EVENT ? 0 : take_byte(input),
				  (shape & 0x40) ? -(int)take_byte(input) : 0, 0, fd_count);
		offset = sizeof(header);
	}
	if (bytes > input->left)
		bytes = input->left;
	if (offset > 0) {
		header.payload_bytes = (uint32_t)bytes;
		memcpy(packet, &header, sizeof(header));
	}
	memcpy(packet + offset, input->data, bytes);
	input->data += bytes;
	input->left -= bytes;
	(void)packet_send(fd, packet, offset + bytes, fds, fd_count);
	return true;
}

/* The lowest free descriptor rises when one has leaked. */
static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int lowest = lowest_free_fd();
	struct input input = {.data = data, .left = size};
	struct fuzz_owner owner = {.channel = NULL};
	unsigned requests = 0;
	int fds[2];

	if (channel_socketpair(fds, NULL) < 0)
		abort();
	owner.channel = channel_new(fds[0], "fuzzer", rows, sizeof(rows) / sizeof(rows[0]),
				    &callbacks, &owner, NULL);
	if (!owner.channel)
		abort();
	for (uint16_t type = 1; type < 10; type++)
		if (channel_request(owner.channel, type, NULL, NULL, 0, 1000, on_reply, &owner,
				    NULL) == 0)
			requests++;
	for (unsigned i = 0; i < MAX_PACKETS && send_packet(fds[1], &input); i++)
		(void)channel_dispatch(owner.channel, 0);
	channel_expire(owner.channel, UINT64_MAX - (size & 1));
	close(fds[1]);
	(void)channel_dispatch(owner.channel, 0);
	channel_destroy(owner.channel);
	if (owner.answers != requests || lowest_free_fd() != lowest)
		abort();
	return 0;
}
