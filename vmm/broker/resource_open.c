/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening declared resources. Rules for every kind: nothing is opened that blocks (fifos), nothing
 * becomes a controlling terminal, no path leads through the magic links of /proc, what was opened
 * is of the kind that was declared. Where we create, the last component may not be a symbolic link;
 * where we only open, it may (/dev/disk/by-id).
 */
#include "vmm/broker/resource.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/broker/disk_lock.h"
#include "vmm/broker/resource_socket.h"

#define TYPE_BIT(mode) (1U << ((mode) >> 12))
#define MIB	       UINT64_C(1048576)

/* Open, and insist on one of the file types in type_bits ("what" for the message). */
static int file_open(const char *path, int flags, unsigned type_bits, const char *what,
		     struct error *err)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.mode = flags & O_CREAT ? 0600 : 0,
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	cleanup_fd int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	struct stat status;
	int current;

	if (fd < 0)
		return error_set_errno(err, -errno, "open %s%s", path,
				       flags & O_DIRECT ? " with O_DIRECT" : "");
	if (fstat(fd, &status) != 0)
		return error_set_errno(err, -errno, "stat %s", path);
	if (!(type_bits & TYPE_BIT(status.st_mode & S_IFMT)))
		return error_set(err, -EINVAL, "%s is not a %s", path, what);
	current = fcntl(fd, F_GETFL);
	if (current < 0 || fcntl(fd, F_SETFL, current & ~O_NONBLOCK) != 0)
		return error_set_errno(err, -errno, "%s", path);
	return fd_steal(&fd);
}

/*
 * The lock of a file is its inode's, and a block device can have several, in several places: one
 * that is written is claimed from the kernel as well, which also keeps it from being mounted.
 */
static int disk_open(const struct resource *resource, struct error *err)
{
	int flags = (resource->read_only ? O_RDONLY : O_RDWR) | (resource->direct ? O_DIRECT : 0);
	cleanup_fd int fd = -1;
	struct stat status;
	int rc;

	if (!resource->read_only && stat(resource->path, &status) == 0 && S_ISBLK(status.st_mode))
		flags |= O_EXCL;
	fd = file_open(resource->path, flags, TYPE_BIT(S_IFREG) | TYPE_BIT(S_IFBLK),
		       "regular file or block device", err);
	if (fd == -EBUSY && (flags & O_EXCL))
		return error_set(err, -ETXTBSY,
				 "%s is in use by another VM or process, or is mounted",
				 resource->path);
	if (fd < 0)
		return fd;
	rc = disk_lock_take(fd, resource->path, resource->read_only, err);
	return rc != 0 ? rc : fd_steal(&fd);
}

/*
 * Memory that its file system has no room for would be a SIGBUS, some day. It is not reserved: what
 * a guest does not touch takes no room. A file system without a limit says that it has 0 blocks.
 */
static int memory_file_check_space(const struct resource *resource, int fd,
				   const struct stat *status, struct error *err)
{
	uint64_t there = (uint64_t)status->st_blocks * 512, needed, free_bytes;
	struct statvfs room;

	if (fstatvfs(fd, &room) != 0)
		return error_set_errno(err, -errno, "statvfs %s", resource->path);
	needed = resource->size_bytes > there ? resource->size_bytes - there : 0;
	free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
	if (room.f_blocks == 0 || needed <= free_bytes)
		return 0;
	return error_set(err, -ENOSPC,
			 "%s needs %" PRIu64 " MiB more, its file system has %" PRIu64 " MiB free",
			 resource->path, (needed + MIB - 1) / MIB, free_bytes / MIB);
}

static int memory_file_open(const struct resource *resource, struct error *err)
{
	cleanup_fd int fd = file_open(resource->path, O_RDWR | O_CREAT | O_NOFOLLOW,
				      TYPE_BIT(S_IFREG), "regular file", err);
	struct stat status;
	int rc;

	if (fd < 0)
		return fd;
	rc = disk_lock_take(fd, resource->path, false, err);
	if (rc != 0)
		return rc;
	if (fstat(fd, &status) != 0)
		return error_set_errno(err, -errno, "stat %s", resource->path);
	if (memory_file_check_space(resource, fd, &status, err) < 0)
		return err->code;
	if ((uint64_t)status.st_size < resource->size_bytes &&
	    ftruncate(fd, (off_t)resource->size_bytes) != 0)
		return error_set_errno(err, -errno, "size %s", resource->path);
	return fd_steal(&fd);
}

/* The index of the slave is all that is needed: its path is fixed by devpts. */
static int pty_open(const struct resource *resource, char *pty_path, struct error *err)
{
	cleanup_fd int fd =
		file_open(resource->path, O_RDWR, TYPE_BIT(S_IFCHR), "character device", err);
	int unlock = 0;
	unsigned index;

	if (fd < 0)
		return fd;
	if (ioctl(fd, TIOCSPTLCK, &unlock) != 0 || ioctl(fd, TIOCGPTN, &index) != 0)
		return error_set_errno(err, -errno, "new pseudo terminal");
	(void)snprintf(pty_path, RESOURCE_PTY_PATH_SIZE, "/dev/pts/%u", index);
	return fd_steal(&fd);
}

static int directory_check_empty(int fd, const char *path, struct error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	int rc = 0;

	if (!directory) {
		rc = error_set_errno(err, -errno, "read %s", path);
		fd_close(&copy);
		return rc;
	}
	while (rc == 0 && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = error_set(err, -ENOTEMPTY, "%s is not empty", path);
	closedir(directory);
	return rc;
}

static int directory_create(const struct resource *resource, struct error *err)
{
	cleanup_fd int fd = -1;
	int rc;

	if (mkdir(resource->path, 0700) != 0 && errno != EEXIST)
		return error_set_errno(err, -errno, "create %s", resource->path);
	fd = file_open(resource->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, TYPE_BIT(S_IFDIR),
		       "directory", err);
	if (fd < 0)
		return fd;
	rc = directory_check_empty(fd, resource->path, err);
	return rc != 0 ? rc : fd_steal(&fd);
}

static int resource_open_kind(struct resource *resource, char *pty_path, struct error *err)
{
	const char *path = resource->path;

	switch (resource->kind) {
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_KVM:
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_USERFAULTFD:
		return file_open(path, O_RDWR, TYPE_BIT(S_IFCHR), "character device", err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_FILE_READ:
		return file_open(path, O_RDONLY, TYPE_BIT(S_IFREG), "regular file", err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DISK:
		return disk_open(resource, err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_CHARACTER:
		return file_open(path, O_RDONLY, TYPE_BIT(S_IFCHR) | TYPE_BIT(S_IFREG),
				 "character device or regular file", err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_OUTPUT_FILE:
		return file_open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
				 TYPE_BIT(S_IFREG) | TYPE_BIT(S_IFCHR),
				 "regular file or character device", err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_LISTEN_SOCKET:
		return resource_socket_listen(resource, err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_PTY:
		return pty_open(resource, pty_path, err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_MEMORY_FILE:
		return memory_file_open(resource, err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_READ:
		return file_open(path, O_RDONLY | O_DIRECTORY, TYPE_BIT(S_IFDIR), "directory", err);
	case BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_CREATE:
		return directory_create(resource, err);
	default:
		return error_set(err, -EINVAL, "unknown kind");
	}
}

/* "disk:root" -> `disk "root"`; other ids say what it is by themselves. */
static void resource_error_prefix(const struct resource *resource, struct error *err)
{
	const char *name = strchr(resource->id, ':');

	if (name)
		(void)error_prefix(err, "%.*s \"%s\"", (int)(name - resource->id), resource->id,
				   name + 1);
	else
		(void)error_prefix(err, "%s", resource->id);
}

int resource_open(struct resource *resource, char *pty_path, struct error *err)
{
	int fd;

	pty_path[0] = '\0';
	fd = resource_open_kind(resource, pty_path, err);
	if (fd < 0)
		resource_error_prefix(resource, err);
	return fd;
}
