/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fd of an epoll set, edge triggered: whoever is told about it reads or writes until nothing is
 * left or -EAGAIN. Files that cannot be polled (regular files, /dev/null) count as always ready.
 * The fd's own flags are left alone: it may be shared with other processes, so that making it
 * non-blocking would surprise them.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_WATCHED_FD_H
#define BULKHEAD_VMM_CORE_PLATFORM_WATCHED_FD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct watched_fd {
	int fd; /* -1: none */
	bool is_socket;
	bool is_watched;
	bool always_ready;
};

/* Start with nothing watched. */
void watched_fd_init(struct watched_fd *watched, int fd);

/* Watch events (EPOLLIN, EPOLLOUT) in the set; event data is watched. 0 or a negative errno. */
int watched_fd_watch(struct watched_fd *watched, int epoll_fd, uint32_t events);
void watched_fd_unwatch(struct watched_fd *watched, int epoll_fd);

/* Read or write what is possible without waiting. -EAGAIN: nothing; 0 from read: the end. */
ssize_t watched_fd_read(const struct watched_fd *watched, void *bytes, size_t capacity);
ssize_t watched_fd_write(const struct watched_fd *watched, const void *bytes, size_t length_bytes);

#endif
