/* SPDX-License-Identifier: Apache-2.0 */
/* Cleanup by scope for locals: `cleanup_fd int fd = -1;`, `cleanup_free char *text = NULL;`. */
#ifndef BULKHEAD_IPC_CLEANUP_H
#define BULKHEAD_IPC_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_pointer_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_stream_close(FILE **stream)
{
	if (*stream)
		(void)fclose(*stream);
}

#define cleanup_fd     __attribute__((cleanup(cleanup_fd_close)))
#define cleanup_free   __attribute__((cleanup(cleanup_pointer_free)))
#define cleanup_stream __attribute__((cleanup(cleanup_stream_close)))

/* Take an fd out of its variable, which then holds -1: ownership moves to the caller. */
static inline int fd_steal(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* Close *fd if it is open and set it to -1. */
static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#endif
