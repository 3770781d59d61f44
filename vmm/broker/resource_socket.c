/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/resource_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define LISTEN_BACKLOG 64

static int address_fill(struct sockaddr_un *address, const char *path, struct error *err)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return error_set(err, -ENAMETOOLONG, "socket %s: longer than %zu bytes", path,
				 sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Something stands at the path. Only a socket that refuses connections is left over and goes. */
static int socket_remove_stale(const struct sockaddr_un *address, struct error *err)
{
	cleanup_fd int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat status;

	if (lstat(address->sun_path, &status) != 0)
		return error_set_errno(err, -errno, "socket %s", address->sun_path);
	if (!S_ISSOCK(status.st_mode))
		return error_set(err, -EEXIST, "socket %s: there is something else",
				 address->sun_path);
	if (probe < 0)
		return error_set_errno(err, -errno, "socket");
	if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED)
		return error_set(err, -EADDRINUSE, "socket %s: in use by another process",
				 address->sun_path);
	if (unlink(address->sun_path) != 0)
		return error_set_errno(err, -errno, "remove stale socket %s", address->sun_path);
	return 0;
}

/* bind() has no mode argument: a file that others could open must not exist even for a moment. */
static int socket_bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t old_mask = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : -errno;

	(void)umask(old_mask);
	return rc;
}

/* What stands at path, if that is a socket: enough to know it again. */
static bool socket_identify(const char *path, struct resource *identity)
{
	struct statx status;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &status))
		return false;
	identity->bound_device = makedev(status.stx_dev_major, status.stx_dev_minor);
	identity->bound_inode = status.stx_ino;
	identity->bound_created_ns =
		status.stx_btime.tv_sec * 1000000000LL + status.stx_btime.tv_nsec;
	return S_ISSOCK(status.stx_mode);
}

int resource_socket_listen(struct resource *resource, struct error *err)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int rc;

	if (fd < 0)
		return error_set_errno(err, -errno, "socket");
	rc = address_fill(&address, resource->path, err);
	if (rc != 0)
		return rc;
	resource_socket_unlink(resource); /* our own, from an earlier open */
	rc = socket_bind_private(fd, &address);
	if (rc == -EADDRINUSE) {
		rc = socket_remove_stale(&address, err);
		if (rc != 0)
			return rc;
		rc = socket_bind_private(fd, &address);
	}
	if (rc != 0)
		return error_set_errno(err, rc, "bind socket %s", resource->path);
	resource->bound = socket_identify(resource->path, resource);
	if (listen(fd, LISTEN_BACKLOG) != 0)
		return error_set_errno(err, -errno, "listen on %s", resource->path);
	return fd_steal(&fd);
}

void resource_socket_unlink(struct resource *resource)
{
	struct resource found;

	if (resource->bound && socket_identify(resource->path, &found) &&
	    found.bound_device == resource->bound_device &&
	    found.bound_inode == resource->bound_inode &&
	    found.bound_created_ns == resource->bound_created_ns)
		(void)unlink(resource->path);
	resource->bound = false;
}
