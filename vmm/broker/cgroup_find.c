/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/cgroup_find.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ipc/cleanup.h"

/* The mount point in a line of mountinfo (proc(5)) when it is a whole cgroup2 tree, else NULL. */
static const char *line_cgroup2_mount(char *line)
{
	const char *root, *point;
	char *save = NULL;

	if (!strstr(line, " - cgroup2 "))
		return NULL;
	for (int i = 0; i < 3; i++)
		if (!strtok_r(i ? NULL : line, " ", &save))
			return NULL;
	root = strtok_r(NULL, " ", &save);
	point = strtok_r(NULL, " ", &save);
	return root && point && strcmp(root, "/") == 0 ? point : NULL;
}

static int find_mount(char *mount, struct error *err)
{
	cleanup_stream FILE *input = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	size_t size = 0;

	if (!input)
		return error_set_errno(err, -errno, "/proc/self/mountinfo");
	while (getline(&line, &size, input) > 0) {
		const char *point = line_cgroup2_mount(line);

		if (point && strlen(point) < PATH_MAX) {
			memcpy(mount, point, strlen(point) + 1);
			return 0;
		}
	}
	return error_set(err, -ENOTSUP, "cgroup v2 is not mounted");
}

int cgroup_find_home(char *mount, char *path, struct error *err)
{
	cleanup_stream FILE *input = NULL;
	cleanup_free char *line = NULL;
	size_t size = 0;
	int rc = find_mount(mount, err);

	if (rc != 0)
		return rc;
	input = fopen("/proc/self/cgroup", "re");
	if (!input)
		return error_set_errno(err, -errno, "/proc/self/cgroup");
	while (getline(&line, &size, input) > 0) {
		if (strncmp(line, "0::/", 4) != 0 || strlen(line) >= PATH_MAX)
			continue;
		line[strcspn(line, "\n")] = '\0';
		memcpy(path, line + 3, strlen(line + 3) + 1);
		return 0;
	}
	return error_set(err, -ENOTSUP, "not in a cgroup of version 2");
}
