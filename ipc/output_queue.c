/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/output_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "ipc/packet.h"

struct output_packet {
	struct output_packet *next;
	size_t bytes;
	unsigned fd_count;
	int fds[FRAME_MAX_FDS];
	uint8_t data[];
};

bool output_queue_is_empty(const struct output_queue *queue)
{
	return queue->first == NULL;
}

static size_t packet_charge(size_t bytes, unsigned fd_count)
{
	return sizeof(struct output_packet) + bytes + (size_t)fd_count * OUTPUT_QUEUE_FD_BYTES;
}

static void output_packet_free(struct output_packet *packet)
{
	for (unsigned i = 0; i < packet->fd_count; i++)
		fd_close(&packet->fds[i]);
	free(packet);
}

static int duplicate_fds(struct output_packet *packet, const int *fds, unsigned fd_count)
{
	for (unsigned i = 0; i < fd_count; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return -errno;
		packet->fds[packet->fd_count++] = fd;
	}
	return 0;
}

int output_queue_append(struct output_queue *queue, const void *data, size_t bytes, const int *fds,
			unsigned fd_count)
{
	size_t charge = packet_charge(bytes, fd_count);
	struct output_packet *packet;
	int result;

	if (fd_count > FRAME_MAX_FDS)
		return -EINVAL;
	if (charge > CHANNEL_MAX_QUEUED_BYTES - queue->charged_bytes)
		return -ENOBUFS;
	packet = malloc(sizeof(*packet) + bytes);
	if (!packet)
		return -ENOMEM;
	packet->next = NULL;
	packet->bytes = bytes;
	packet->fd_count = 0;
	memcpy(packet->data, data, bytes);
	result = duplicate_fds(packet, fds, fd_count);
	if (result < 0) {
		output_packet_free(packet);
		return result;
	}
	if (queue->last)
		queue->last->next = packet;
	else
		queue->first = packet;
	queue->last = packet;
	queue->charged_bytes += charge;
	return 0;
}

static void output_queue_drop_first(struct output_queue *queue)
{
	struct output_packet *packet = queue->first;

	queue->first = packet->next;
	if (!queue->first)
		queue->last = NULL;
	queue->charged_bytes -= packet_charge(packet->bytes, packet->fd_count);
	output_packet_free(packet);
}

int output_queue_flush(struct output_queue *queue, int socket_fd)
{
	while (queue->first) {
		struct output_packet *packet = queue->first;
		int result = packet_send(socket_fd, packet->data, packet->bytes, packet->fds,
					 packet->fd_count);

		if (result == -EAGAIN)
			return 0;
		if (result < 0)
			return result;
		output_queue_drop_first(queue);
	}
	return 0;
}

void output_queue_clear(struct output_queue *queue)
{
	while (queue->first)
		output_queue_drop_first(queue);
}
