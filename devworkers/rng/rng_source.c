/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "devworkers/rng/rng.h"
#include "ipc/cleanup.h"

int rng_source_open(struct rng *rng, int *fd, struct error *err)
{
	int flags = fcntl(*fd, F_GETFL);

	if (flags < 0)
		return error_set_errno(err, -errno, "source");
	if ((flags & O_ACCMODE) == O_WRONLY)
		return error_set(err, -EBADF, "source: not open for reading");
	/* A source without bytes must not stop the worker from hearing the core. */
	if (fcntl(*fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set_errno(err, -errno, "source");
	rng->source_fd = fd_steal(fd);
	rng->has_source = true;
	return 0;
}

void rng_source_close(struct rng *rng)
{
	/* In a zeroed object the fd is 0, which is not ours. */
	if (rng->has_source)
		fd_close(&rng->source_fd);
	rng->has_source = false;
}

int64_t rng_source_read(const struct rng *rng, void *buffer, size_t length_bytes)
{
	ssize_t length;

	do {
		if (rng->has_source)
			length = read(rng->source_fd, buffer, length_bytes);
		else
			length = getrandom(buffer, length_bytes, 0);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	return length == 0 ? -ENODATA : length;
}
