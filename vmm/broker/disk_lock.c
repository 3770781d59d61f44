/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/disk_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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

/* One try: whoever wants to wait for a VM that is ending asks again; the broker has others to
 * serve. */
static int lock_try(int fd, bool read_only)
{
	struct flock lock = whole_file(read_only);

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
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
		return error_set(err, -ETXTBSY, "%s is in use by another VM or process (pid %d)",
				 path, lock.l_pid);
	return error_set(err, -ETXTBSY, "%s is in use by another VM or process", path);
}
