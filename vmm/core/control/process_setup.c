/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/process_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define ENOUGH_FDS 65536

static int standard_streams_open(struct error *err)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest number that is free is this one. */
		if (open("/dev/null", O_RDWR) != fd)
			return error_set_errno(err, -errno, "open /dev/null");
	}
	return 0;
}

int process_setup(struct error *err)
{
	struct rlimit limit;
	int result = standard_streams_open(err);

	if (result < 0)
		return result;
	/* A file that may grow no more is an error of the write, EFBIG. */
	(void)signal(SIGXFSZ, SIG_IGN);
#ifndef BULKHEAD_SANITIZE /* whose allocator has no such option */
	/* A heap of a thread's own reads /proc when it shrinks, which the core's filter kills. */
	if (!mallopt(M_ARENA_MAX, 1))
		return error_set(err, -EINVAL, "malloc: one heap for all threads");
#endif
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return error_set_errno(err, -errno, "RLIMIT_NOFILE");
	if (limit.rlim_cur >= ENOUGH_FDS)
		return 0;
	limit.rlim_cur = limit.rlim_max < ENOUGH_FDS ? limit.rlim_max : ENOUGH_FDS;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return error_set_errno(err, -errno, "RLIMIT_NOFILE");
	return 0;
}

void process_streams_note(struct process_streams *streams)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		streams->flags[fd] = fcntl(fd, F_GETFL);
}

void process_streams_put_back(const struct process_streams *streams)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int now = fcntl(fd, F_GETFL);

		if (streams->flags[fd] >= 0 && now >= 0 &&
		    ((streams->flags[fd] ^ now) & O_NONBLOCK))
			(void)fcntl(fd, F_SETFL, streams->flags[fd]);
	}
}
