/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what single features need; a VM runs without each of them. */
#include "vmm/core/host/host_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/host/host_text_file.h"

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00) /* Linux 6.1 */
#endif

static void check_userfaultfd(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "userfaultfd", false);
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM};
	cleanup_fd int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	cleanup_fd int fd = -1;

	host_check_advise(check, "restoring on demand needs /dev/userfaultfd (Linux 6.1 or newer) "
				 "and the right to open it");
	if (device < 0) {
		host_check_missing(check, "/dev/userfaultfd: %s", strerror(errno));
		return;
	}
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
		host_check_missing(check, "for shared memory: %s", strerror(errno));
	else
		host_check_ok(check, "/dev/userfaultfd, for shared memory");
}

static void check_io_uring(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "io_uring", false);
	struct io_uring_params params = {0};
	cleanup_fd int fd = (int)syscall(SYS_io_uring_setup, 4, &params);

	if (fd >= 0) {
		host_check_ok(check, "allowed");
		return;
	}
	host_check_missing(check, "io_uring: %s", strerror(errno));
	host_check_advise(check, "disks are served by threads instead, slower; "
				 "sysctl kernel.io_uring_disabled=0 allows it");
}

/* Where cgroup v2 is mounted. False: nowhere. */
static bool find_cgroup_mount(char *path, size_t path_bytes)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *entry;
	bool found = false;

	if (!mounts)
		return false;
	while (!found && (entry = getmntent(mounts))) {
		found = strcmp(entry->mnt_type, "cgroup2") == 0;
		if (found)
			(void)snprintf(path, path_bytes, "%s", entry->mnt_dir);
	}
	endmntent(mounts);
	return found;
}

/* The path in the line "0::PATH" of /proc/self/cgroup; NULL if there is none. Cuts text up. */
static const char *own_cgroup(char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "0::/", 4) == 0)
			return line[4] ? line + 3 : "";
	return NULL;
}

/* Whether the space-separated words of list include word. */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += length)
		if ((at == list || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static void check_cgroup_controllers(struct host_check *check, const char *folder)
{
	static const char *const wanted[] = {"cpu", "memory", "io", "pids"};
	char path[PATH_MAX + 32], controllers[256], absent[64] = "";
	size_t used = 0;

	(void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", folder);
	if (access(path, W_OK) != 0) {
		host_check_missing(check, "%.128s is not ours to divide: %s", folder,
				   strerror(errno));
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", folder);
	if (host_read_text(path, controllers, sizeof(controllers)) < 0)
		controllers[0] = '\0';
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!has_word(controllers, wanted[i]))
			used += (size_t)snprintf(absent + used, sizeof(absent) - used, " %s",
						 wanted[i]);
	if (used)
		host_check_missing(check, "controllers not delegated:%s", absent);
	else
		host_check_ok(check, "cpu, memory, io, pids in %.128s", folder);
}

static void check_cgroup(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "cgroup-v2", false);
	char mount[PATH_MAX / 2], text[PATH_MAX / 2], folder[PATH_MAX];
	const char *own = NULL;

	host_check_advise(check, "workers get no limits of their own; start the VM in a delegated "
				 "cgroup (systemd-run -p Delegate=yes)");
	if (!find_cgroup_mount(mount, sizeof(mount))) {
		host_check_missing(check, "cgroup v2 is not mounted");
		return;
	}
	if (host_read_text("/proc/self/cgroup", text, sizeof(text)) == 0)
		own = own_cgroup(text);
	if (!own) {
		host_check_missing(check, "this process is in no cgroup of version 2");
		return;
	}
	(void)snprintf(folder, sizeof(folder), "%s%s", mount, own);
	check_cgroup_controllers(check, folder);
}

static void check_tap(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "tap", false);
	cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	unsigned features = 0;

	host_check_advise(check, "network devices need it: load the module tun");
	if (fd < 0)
		host_check_missing(check, "/dev/net/tun: %s", strerror(errno));
	else if (ioctl(fd, TUNGETFEATURES, &features) < 0 || !(features & IFF_TAP) ||
		 !(features & IFF_VNET_HDR))
		host_check_missing(check, "/dev/net/tun has no tap with virtio headers");
	else
		host_check_ok(check, "/dev/net/tun%s",
			      features & IFF_MULTI_QUEUE ? ", multiqueue" : "");
}

static void check_huge_pages(struct host_report *report)
{
	struct host_check *check = host_report_add(report, "huge-pages", false);
	char text[32] = "";
	unsigned long count = 0;

	if (host_read_text("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", text,
			   sizeof(text)) == 0)
		count = strtoul(text, NULL, 10);
	if (count)
		host_check_ok(check, "%lu free of 2 MiB", count);
	else
		host_check_missing(check, "no free huge page of 2 MiB");
	host_check_advise(check, "--memory hugepages=on needs them: sysctl vm.nr_hugepages=N");
}

void host_check_features(struct host_report *report)
{
	check_userfaultfd(report);
	check_io_uring(report);
	check_cgroup(report);
	check_tap(report);
	check_huge_pages(report);
}
