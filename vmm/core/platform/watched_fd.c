/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/watched_fd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * What a pipe or terminal that polls writable surely takes without blocking: a pipe has PIPE_BUF
 * bytes of room then, a terminal less.
 */
#define SAFE_WRITE_BYTES 256

void watched_fd_init(struct watched_fd *watched, int fd)
{
	struct stat status;

	*watched = (struct watched_fd){.fd = fd};
	if (fd >= 0 && fstat(fd, &status) == 0)
		watched->is_socket = S_ISSOCK(status.st_mode);
}

int watched_fd_watch(struct watched_fd *watched, int epoll_fd, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.ptr = watched};

	if (watched->fd < 0)
		return 0;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watched->fd, &event) == 0)
		watched->is_watched = true;
	else if (errno == EPERM)
		watched->always_ready = true;
	else
		return -errno;
	return 0;
}

void watched_fd_unwatch(struct watched_fd *watched, int epoll_fd)
{
	if (watched->is_watched)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watched->fd, NULL);
	watched->is_watched = false;
}

static bool is_ready(const struct watched_fd *watched, short events)
{
	struct pollfd poll_fd = {.fd = watched->fd, .events = events};

	return poll(&poll_fd, 1, 0) == 1;
}

/* recvmsg and sendmsg are the two calls on sockets that the core may make. */
static ssize_t socket_read(int fd, void *bytes, size_t capacity)
{
	struct iovec vector = {.iov_base = bytes, .iov_len = capacity};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	return recvmsg(fd, &message, MSG_DONTWAIT);
}

static ssize_t socket_write(int fd, const void *bytes, size_t length_bytes)
{
	struct iovec vector = {.iov_len = length_bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	/* The vector serves both directions and has no room for const; sendmsg only reads. */
	memcpy(&vector.iov_base, &bytes, sizeof(bytes));
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t watched_fd_read(const struct watched_fd *watched, void *bytes, size_t capacity)
{
	ssize_t got;

	if (!is_ready(watched, POLLIN))
		return -EAGAIN;
	got = watched->is_socket ? socket_read(watched->fd, bytes, capacity)
				 : read(watched->fd, bytes, capacity);
	return got < 0 ? -errno : got;
}

ssize_t watched_fd_write(const struct watched_fd *watched, const void *bytes, size_t length_bytes)
{
	ssize_t put;

	if (watched->is_socket) {
		put = socket_write(watched->fd, bytes, length_bytes);
		return put < 0 ? -errno : put;
	}
	if (!is_ready(watched, POLLOUT))
		return -EAGAIN;
	if (!watched->always_ready && length_bytes > SAFE_WRITE_BYTES)
		length_bytes = SAFE_WRITE_BYTES;
	put = write(watched->fd, bytes, length_bytes);
	return put < 0 ? -errno : put;
}
