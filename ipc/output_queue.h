/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that the socket did not take yet, in order, with duplicates of their descriptors. Bounded
 * by CHANNEL_MAX_QUEUED_BYTES; a descriptor counts as OUTPUT_QUEUE_FD_BYTES. Embedded in the
 * channel.
 */
#ifndef BULKHEAD_IPC_OUTPUT_QUEUE_H
#define BULKHEAD_IPC_OUTPUT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#define OUTPUT_QUEUE_FD_BYTES 4096

struct output_packet; /* private */

struct output_queue {
	struct output_packet *first, *last;
	size_t charged_bytes;
};

bool output_queue_is_empty(const struct output_queue *queue);

/* Append a copy of the packet and duplicates of fds. -ENOBUFS: over the bound; -ENOMEM; -EMFILE. */
int output_queue_append(struct output_queue *queue, const void *data, size_t bytes, const int *fds,
			unsigned fd_count);

/* Send what the socket takes. 0, also when some is left; or the errno of packet_send(). */
int output_queue_flush(struct output_queue *queue, int socket_fd);

void output_queue_clear(struct output_queue *queue);

#endif
