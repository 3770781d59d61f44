/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One packet with file descriptors over a SOCK_SEQPACKET unix socket: sendmsg and recvmsg with
 * SCM_RIGHTS, never blocking, no allocation. Received descriptors are close-on-exec and are all
 * either given to the caller or closed here.
 */
#ifndef BULKHEAD_IPC_PACKET_H
#define BULKHEAD_IPC_PACKET_H

#include <stddef.h>

#include "ipc/error.h"
#include "ipc/frame.h"

struct packet {
	size_t bytes;
	int fds[FRAME_MAX_FDS];
	unsigned fd_count;
};

/*
 * Send bytes as one packet; fds are borrowed. 0, or a negative errno: -EAGAIN when the socket's
 * buffer is full, -EPIPE or -ECONNRESET when the peer is gone, -EMSGSIZE, -ETOOMANYREFS.
 */
int packet_send(int socket_fd, const void *data, size_t bytes, const int *fds, unsigned fd_count);

/*
 * Receive one packet. 1: packet is filled and its fds are the caller's; 0: the peer closed the
 * connection; -EAGAIN: nothing there; -EPROTO with err: the peer sent what no packet of ours can be
 * (longer than capacity, empty, more than FRAME_MAX_FDS descriptors, other ancillary data), its fds
 * are closed; another negative errno with err: the socket failed.
 */
int packet_receive(int socket_fd, void *buffer, size_t capacity, struct packet *packet,
		   struct error *err);

/* Close the fds that are left in packet. */
void packet_close_fds(struct packet *packet);

#endif
