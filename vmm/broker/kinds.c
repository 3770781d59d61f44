/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"

static const struct {
	const char *kind;
	const char *program;
	bool helper;
} kinds[KIND_COUNT] = {
	{"blk", "bulkhead-blk", false},	       {"net", "bulkhead-net", false},
	{"rng", "bulkhead-rng", false},	       {"console", "bulkhead-console", false},
	{"vsock", "bulkhead-vsock", false},    {"balloon", "bulkhead-balloon", false},
	{"gateway", "bulkhead-gateway", true}, {"pager", "bulkhead-pager", true},
};

static int folder_open_own(struct error *err)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;
	int fd;

	if (length < 0)
		return error_set_errno(err, -errno, "read /proc/self/exe");
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return error_set(err, -ENOENT, "own program has no folder");
	*slash = '\0';
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : error_set_errno(err, -errno, "open %s", path);
}

int kind_table_open(struct kind_table *table, const char *folder, struct error *err)
{
	cleanup_fd int folder_fd = -1;

	for (unsigned i = 0; i < KIND_COUNT; i++)
		table->program_fds[i] = -1;
	if (folder) {
		folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (folder_fd < 0)
			return error_set_errno(err, -errno, "open %s", folder);
	} else {
		folder_fd = folder_open_own(err);
		if (folder_fd < 0)
			return folder_fd;
	}
	for (unsigned i = 0; i < KIND_COUNT; i++)
		table->program_fds[i] = openat(folder_fd, kinds[i].program, O_PATH | O_CLOEXEC);
	return 0;
}

void kind_table_close(struct kind_table *table)
{
	for (unsigned i = 0; i < KIND_COUNT; i++)
		fd_close(&table->program_fds[i]);
}

int kind_table_find(const struct kind_table *table, const char *kind, bool helper, int *program_fd,
		    const char **name, struct error *err)
{
	for (unsigned i = 0; i < KIND_COUNT; i++) {
		if (strcmp(kinds[i].kind, kind) != 0 || kinds[i].helper != helper)
			continue;
		if (table->program_fds[i] < 0)
			return error_set(err, -ENOENT, "%s is not installed", kinds[i].program);
		*program_fd = table->program_fds[i];
		*name = kinds[i].program;
		return 0;
	}
	return error_set(err, -EINVAL, "no %s is called \"%.32s\"",
			 helper ? "helper" : "device kind", kind);
}
