/* SPDX-License-Identifier: Apache-2.0 */
/* Images for tests: unlinked files in the build folder's file system, gone with their last fd. */
#ifndef BULKHEAD_TESTS_DEVWORKERS_BLK_TEMPORARY_IMAGE_H
#define BULKHEAD_TESTS_DEVWORKERS_BLK_TEMPORARY_IMAGE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A folder on a disk if there is one: direct I/O wants that. */
static inline const char *temporary_folder(void)
{
	const char *build = getenv("BULKHEAD_BUILD");

	return build ? build : ".";
}

/* An empty image of `bytes`, opened with O_RDWR and `flags`; -1 with errno set. */
static inline int temporary_image(uint64_t bytes, int flags)
{
	int fd = open(temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);

	if (fd >= 0 && ftruncate(fd, (off_t)bytes) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The same file opened again with other flags; -1 with errno set. */
static inline int reopen_image(int fd, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

#endif
