/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/snapshot_directory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"

#define DEVICES_PREFIX "devices/"

static int directory_open(struct snapshot_directory *directory, const char *path, struct error *err)
{
	if (directory->fd >= 0)
		return error_set(err, -EBUSY, "snapshot %s is still in use", directory->path);
	directory->path = strdup(path);
	if (!directory->path)
		return error_set(err, -ENOMEM, "out of memory");
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0)
		return error_set_errno(err, -errno, "snapshot %s", path);
	return 0;
}

static int directory_check_empty(const struct snapshot_directory *directory, struct error *err)
{
	int copy = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	int result = 0;

	if (!stream) {
		result = error_set_errno(err, -errno, "snapshot %s", directory->path);
		fd_close(&copy);
		return result;
	}
	while (result == 0 && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = error_set(
				err, -ENOTEMPTY,
				"snapshot %s: the directory is not empty (it has \"%.64s\"); "
				"give a new or an empty one",
				directory->path, entry->d_name);
	closedir(stream);
	return result;
}

int snapshot_directory_create(struct snapshot_directory *directory, const char *path,
			      struct error *err)
{
	bool created = false;

	if (directory->fd >= 0)
		return error_set(err, -EBUSY, "snapshot %s is still in use", directory->path);
	if (mkdir(path, 0700) == 0)
		created = true;
	else if (errno != EEXIST)
		return error_set_errno(err, -errno, "snapshot %s: cannot create the directory",
				       path);
	if (directory_open(directory, path, err) < 0 ||
	    (!created && directory_check_empty(directory, err) < 0)) {
		snapshot_directory_close(directory);
		if (created)
			(void)rmdir(path);
		return err->code;
	}
	directory->writing = true;
	directory->created = created;
	return 0;
}

int snapshot_directory_read(struct snapshot_directory *directory, const char *path,
			    struct error *err)
{
	int result = directory->fd >= 0 ? error_set(err, -EBUSY, "snapshot %s is still in use",
						    directory->path)
					: directory_open(directory, path, err);

	if (result < 0 && directory->fd < 0)
		snapshot_directory_close(directory);
	return result;
}

static bool name_is_plain(const char *name)
{
	if (strncmp(name, DEVICES_PREFIX, strlen(DEVICES_PREFIX)) == 0)
		name += strlen(DEVICES_PREFIX);
	if (!*name || *name == '.' || strlen(name) >= SNAPSHOT_NAME_SIZE - sizeof(DEVICES_PREFIX))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("-_.", *name))
			return false;
	return true;
}

static int directory_open_beneath(const struct snapshot_directory *directory, const char *name,
				  uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.mode = flags & O_CREAT ? 0600 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, directory->fd, name, &how, sizeof(how));
}

static int directory_create_file(struct snapshot_directory *directory, const char *name,
				 struct error *err)
{
	int fd;

	if (directory->file_count == SNAPSHOT_MAX_FILES)
		return error_set(err, -E2BIG, "snapshot %s: too many files", directory->path);
	if (!directory->devices_created &&
	    strncmp(name, DEVICES_PREFIX, strlen(DEVICES_PREFIX)) == 0) {
		if (mkdirat(directory->fd, "devices", 0700) < 0)
			return error_set_errno(err, -errno, "snapshot %s: devices",
					       directory->path);
		directory->devices_created = true;
	}
	fd = directory_open_beneath(directory, name, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return error_set_errno(err, -errno, "snapshot %s: %s", directory->path, name);
	(void)snprintf(directory->files[directory->file_count++], SNAPSHOT_NAME_SIZE, "%s", name);
	return fd;
}

static int directory_open_existing(const struct snapshot_directory *directory, const char *name,
				   struct error *err)
{
	cleanup_fd int fd = directory_open_beneath(directory, name, O_RDONLY);
	struct stat status;

	if (fd < 0)
		return error_set_errno(err, -errno, "snapshot %s: %s", directory->path, name);
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "snapshot %s: %s is not a regular file",
				 directory->path, name);
	return fd_steal(&fd);
}

int snapshot_directory_open_file(struct snapshot_directory *directory, const char *name,
				 struct error *err)
{
	if (directory->fd < 0)
		return error_set(err, -EPERM, "no snapshot is being written or read");
	if (!name_is_plain(name))
		return error_set(err, -EINVAL, "snapshot %s: bad file name", directory->path);
	return directory->writing ? directory_create_file(directory, name, err)
				  : directory_open_existing(directory, name, err);
}

/* The name of a new directory is an entry of its parent. */
static int directory_flush_parent(const struct snapshot_directory *directory)
{
	char copy[4096];
	cleanup_fd int fd = -1;

	if (!directory->created)
		return 0;
	(void)snprintf(copy, sizeof(copy), "%s", directory->path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int directory_flush(const struct snapshot_directory *directory)
{
	cleanup_fd int devices = -1;

	if (directory->devices_created) {
		devices = openat(directory->fd, "devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (devices < 0 || fsync(devices) < 0)
			return -errno;
	}
	return fsync(directory->fd) < 0 ? -errno : 0;
}

int snapshot_directory_commit(struct snapshot_directory *directory, struct error *err)
{
	int result;

	if (directory->fd < 0 || !directory->writing)
		return error_set(err, -EPERM, "no snapshot is being written");
	result = directory_flush(directory);
	if (result == 0 && renameat2(directory->fd, SNAPSHOT_MANIFEST_TEMP, directory->fd,
				     SNAPSHOT_MANIFEST, RENAME_NOREPLACE) < 0)
		result = -errno;
	if (result < 0)
		return error_set_errno(err, result, "snapshot %s: cannot commit", directory->path);
	/* Committed: from here on nothing is removed any more, whatever the flushes say. */
	directory->writing = false;
	result = directory_flush(directory);
	if (result == 0)
		result = directory_flush_parent(directory);
	if (result == 0)
		return 0;
	directory->writing = true;
	(void)unlinkat(directory->fd, SNAPSHOT_MANIFEST, 0);
	return error_set_errno(err, result, "snapshot %s: cannot flush the directory",
			       directory->path);
}

/* In the folder that we made: whoever else may write here may have put a link in its place. */
static int directory_remove(const struct snapshot_directory *directory, const char *name)
{
	size_t prefix_bytes = strlen(DEVICES_PREFIX);
	cleanup_fd int devices = -1;

	if (strncmp(name, DEVICES_PREFIX, prefix_bytes) != 0)
		return unlinkat(directory->fd, name, 0);
	devices = directory_open_beneath(directory, "devices", O_RDONLY | O_DIRECTORY);
	return devices < 0 ? -1 : unlinkat(devices, name + prefix_bytes, 0);
}

static void directory_discard(struct snapshot_directory *directory)
{
	for (unsigned i = directory->file_count; i-- > 0;)
		if (directory_remove(directory, directory->files[i]) < 0 && errno != ENOENT)
			log_warning("snapshot %s: cannot remove %s: %s", directory->path,
				    directory->files[i], strerror(errno));
	if (directory->devices_created)
		(void)unlinkat(directory->fd, "devices", AT_REMOVEDIR);
	if (directory->created && rmdir(directory->path) < 0)
		log_warning("snapshot %s: cannot remove the directory: %s", directory->path,
			    strerror(errno));
}

void snapshot_directory_close(struct snapshot_directory *directory)
{
	if (directory->fd >= 0 && directory->writing)
		directory_discard(directory);
	fd_close(&directory->fd);
	free(directory->path);
	*directory = (struct snapshot_directory)SNAPSHOT_DIRECTORY_INIT;
}
