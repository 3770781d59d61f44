/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/disk_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FIRST_RETRY_MS 1U
#define LOCK_LAST_RETRY_MS  256U /* the pauses double: half a second in all */

/* Length 0 means: to the end, wherever that will be. */
static struct flock whole_file(bool read_only)
{
	return (struct flock){
		.l_type = read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = 0,
		.l_len = 0,
	};
}

/*
 * A VM that has just ended may hold its lock a little longer than it lives: the kernel closes the
 * files of an io_uring instance after its process is gone. Worth a short wait, not a refusal.
 */
static int lock_try(int fd, bool read_only)
{
	struct flock lock = whole_file(read_only);

	for (unsigned pause_ms = LOCK_FIRST_RETRY_MS;; pause_ms *= 2) {
		struct timespec pause = {.tv_nsec = pause_ms * 1000000L};

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (pause_ms > LOCK_LAST_RETRY_MS)
			return -EAGAIN;
		(void)nanosleep(&pause, NULL);
	}
}

int disk_lock_take(int fd, const char *path, bool read_only, struct error *err)
{
	int result = lock_try(fd, read_only);
	struct flock lock;

	if (result == 0)
		return 0;
	if (result != -EAGAIN)
		return error_set_errno(err, result, "lock %s", path);
	lock = whole_file(read_only);
	if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
		return error_set(err, -EBUSY, "%s is in use by another VM or process (pid %d)",
				 path, lock.l_pid);
	return error_set(err, -EBUSY, "%s is in use by another VM or process", path);
}
