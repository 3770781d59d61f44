/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/packet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/cleanup.h"

/* Room for the descriptors of one packet, aligned as the kernel wants it. */
union control_buffer {
	char bytes[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)];
	struct cmsghdr alignment;
};

int packet_send(int socket_fd, const void *data, size_t bytes, const int *fds, unsigned fd_count)
{
	union control_buffer control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (fd_count > FRAME_MAX_FDS)
		return -EINVAL;
	if (fd_count > 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
	}
	do
		sent = sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

void packet_close_fds(struct packet *packet)
{
	for (unsigned i = 0; i < packet->fd_count; i++)
		fd_close(&packet->fds[i]);
	packet->fd_count = 0;
}

/*
 * Move every received descriptor into packet. False when there was ancillary data of another kind.
 * The control buffer holds FRAME_MAX_FDS at most, so that the array cannot overflow; it is checked
 * all the same.
 */
static bool collect_fds(struct msghdr *message, struct packet *packet)
{
	struct cmsghdr *header;
	bool only_rights = true;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t count;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
			only_rights = false;
			continue;
		}
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			if (packet->fd_count < FRAME_MAX_FDS)
				packet->fds[packet->fd_count++] = fd;
			else
				fd_close(&fd);
		}
	}
	return only_rights;
}

/* A packet without a byte looks like the end; after the end, reading again gives 0 once more. */
static bool is_end_of_stream(int socket_fd)
{
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = sizeof(byte)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	return recvmsg(socket_fd, &message, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int check_received(int socket_fd, const struct msghdr *message, const struct packet *packet,
			  size_t capacity, struct error *err)
{
	if (message->msg_flags & MSG_TRUNC)
		return error_set(err, -EPROTO, "sent a packet longer than %zu bytes", capacity);
	if (message->msg_flags & MSG_CTRUNC)
		return error_set(err, -EPROTO,
				 "sent more file descriptors than can be received (at most %d)",
				 FRAME_MAX_FDS);
	if (packet->bytes > 0)
		return 1;
	if (packet->fd_count > 0 || !is_end_of_stream(socket_fd))
		return error_set(err, -EPROTO, "sent an empty packet");
	return 0;
}

int packet_receive(int socket_fd, void *buffer, size_t capacity, struct packet *packet,
		   struct error *err)
{
	union control_buffer control;
	struct iovec iov = {.iov_base = buffer, .iov_len = capacity};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t received;
	int result;

	packet->fd_count = 0;
	packet->bytes = 0;
	do
		received = recvmsg(socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (received < 0 && errno == EINTR);
	if (received < 0) {
		result = errno == EWOULDBLOCK ? -EAGAIN : -errno;
		return result == -EAGAIN ? result : error_set_errno(err, result, "receive");
	}
	packet->bytes = (size_t)received;
	if (!collect_fds(&message, packet))
		result = error_set(err, -EPROTO, "sent ancillary data that is not descriptors");
	else
		result = check_received(socket_fd, &message, packet, capacity, err);
	if (result != 1)
		packet_close_fds(packet);
	return result;
}
