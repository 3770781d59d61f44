/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/broker/cgroup_find.h"

#define REMOVE_RETRY_MS	 5
#define REMOVE_RETRIES	 40U
#define WORKER_MAX_TASKS "128" /* threads of io_uring included */

static const char *const controllers[] = {"cpu", "memory", "pids"};
#define CONTROLLER_COUNT (sizeof(controllers) / sizeof(controllers[0]))

static int directory_open(int parent_fd, const char *name)
{
	return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int file_write(int directory_fd, const char *name, const char *text)
{
	cleanup_fd int fd = openat(directory_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -errno;
	return 0;
}

static int pid_move(int directory_fd, pid_t pid)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", pid);
	return file_write(directory_fd, "cgroup.procs", text);
}

/* Is word one of the blank-separated words of the file? */
static bool file_has_word(int directory_fd, const char *name, const char *word)
{
	cleanup_fd int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[512];
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	char *save = NULL;

	if (got < 0)
		return false;
	text[got] = '\0';
	for (char *at = strtok_r(text, " \n", &save); at; at = strtok_r(NULL, " \n", &save))
		if (strcmp(at, word) == 0)
			return true;
	return false;
}

/* Hand every controller that is there on to the children. */
static int controllers_enable(int directory_fd, bool *changed)
{
	char text[16];

	for (size_t i = 0; i < CONTROLLER_COUNT; i++) {
		int rc;

		if (!file_has_word(directory_fd, "cgroup.controllers", controllers[i]) ||
		    file_has_word(directory_fd, "cgroup.subtree_control", controllers[i]))
			continue;
		(void)snprintf(text, sizeof(text), "+%s", controllers[i]);
		rc = file_write(directory_fd, "cgroup.subtree_control", text);
		if (rc != 0)
			return rc;
		*changed = true;
	}
	return 0;
}

static void controllers_disable(int directory_fd)
{
	char text[16];

	for (size_t i = 0; i < CONTROLLER_COUNT; i++) {
		(void)snprintf(text, sizeof(text), "-%s", controllers[i]);
		(void)file_write(directory_fd, "cgroup.subtree_control", text);
	}
}

static bool controllers_any(int directory_fd)
{
	for (size_t i = 0; i < CONTROLLER_COUNT; i++)
		if (file_has_word(directory_fd, "cgroup.controllers", controllers[i]))
			return true;
	return false;
}

static int cgroup_move_in(const struct vm_cgroup *cgroup, struct error *err)
{
	cleanup_fd int core_fd = -1;
	int rc;

	if (mkdirat(cgroup->vm_fd, "core", 0755) != 0 && errno != EEXIST)
		return error_set_errno(err, -errno, "create %s/core", cgroup->path);
	core_fd = directory_open(cgroup->vm_fd, "core");
	if (core_fd < 0)
		return error_set_errno(err, -errno, "open %s/core", cgroup->path);
	rc = pid_move(core_fd, cgroup->core_pid);
	if (rc == 0)
		rc = pid_move(core_fd, getpid());
	return rc != 0 ? error_set_errno(err, rc, "move to %s/core", cgroup->path) : 0;
}

int vm_cgroup_create_at(struct vm_cgroup *cgroup, int home_fd, const char *path, pid_t core_pid,
			struct error *err)
{
	bool vm_enabled = false;
	int rc;

	*cgroup = (struct vm_cgroup){.home_fd = -1, .vm_fd = -1, .core_pid = core_pid};
	if (!controllers_any(home_fd))
		return error_set(err, -ENOTSUP, "cgroup v2 has no controllers here");
	(void)snprintf(cgroup->name, sizeof(cgroup->name), "bulkhead-%d", core_pid);
	if (snprintf(cgroup->path, sizeof(cgroup->path), "%s/%s", path, cgroup->name) >=
	    (int)sizeof(cgroup->path))
		return error_set(err, -ENAMETOOLONG, "cgroup path");
	if (mkdirat(home_fd, cgroup->name, 0755) != 0 && errno != EEXIST)
		return error_set_errno(err, -errno, "create cgroup %s", cgroup->path);
	cgroup->home_fd = home_fd;
	cgroup->vm_fd = directory_open(home_fd, cgroup->name);
	rc = cgroup->vm_fd < 0 ? error_set_errno(err, -errno, "open cgroup %s", cgroup->path) : 0;
	if (rc == 0)
		rc = cgroup_move_in(cgroup, err);
	if (rc == 0) {
		rc = controllers_enable(home_fd, &cgroup->home_enabled);
		if (rc == 0)
			rc = controllers_enable(cgroup->vm_fd, &vm_enabled);
		if (rc != 0)
			rc = error_set_errno(err, rc, "controllers of cgroup %s", path);
	}
	if (rc != 0) {
		int kept = fcntl(home_fd, F_DUPFD_CLOEXEC, 3);

		vm_cgroup_destroy(cgroup); /* closes home_fd, which stays the caller's */
		if (kept >= 0 && dup3(kept, home_fd, O_CLOEXEC) >= 0)
			close(kept);
	}
	return rc;
}

int vm_cgroup_create(struct vm_cgroup *cgroup, pid_t core_pid, struct error *err)
{
	char mount[PATH_MAX], path[PATH_MAX];
	cleanup_fd int mount_fd = -1, home_fd = -1;
	int rc = cgroup_find_home(mount, path, err);

	if (rc != 0)
		return rc;
	mount_fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	home_fd = directory_open(mount_fd, path[1] ? path + 1 : ".");
	if (home_fd < 0)
		return error_set_errno(err, -errno, "open cgroup %s", path);
	rc = vm_cgroup_create_at(cgroup, home_fd, path[1] ? path : "", core_pid, err);
	if (rc == 0)
		(void)fd_steal(&home_fd);
	return rc;
}

int vm_cgroup_add(struct vm_cgroup *cgroup, const char *kind, const char *device_id, char *name,
		  size_t size)
{
	int fd;

	name[0] = '\0';
	if (cgroup->vm_fd < 0)
		return -1;
	(void)snprintf(name, size, "%s-%s", kind, device_id);
	for (char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
			*at = '_';
	if (mkdirat(cgroup->vm_fd, name, 0755) != 0 && errno != EEXIST) {
		name[0] = '\0';
		return -1;
	}
	fd = directory_open(cgroup->vm_fd, name);
	if (fd >= 0)
		(void)file_write(fd, "pids.max", WORKER_MAX_TASKS);
	return fd;
}

/* A process that was reaped a moment ago may still count. */
static void directory_remove(int parent_fd, const char *name)
{
	const struct timespec moment = {.tv_nsec = REMOVE_RETRY_MS * 1000000L};

	for (unsigned i = 0; i < REMOVE_RETRIES; i++) {
		if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return;
		if (errno != EBUSY)
			break;
		(void)nanosleep(&moment, NULL);
	}
	log_warning("cgroup %s cannot be removed: %s", name, strerror(errno));
}

void vm_cgroup_remove(struct vm_cgroup *cgroup, const char *name)
{
	if (cgroup->vm_fd >= 0 && name[0])
		directory_remove(cgroup->vm_fd, name);
}

static void process_move_home(const struct vm_cgroup *cgroup, pid_t pid)
{
	int rc = pid_move(cgroup->home_fd, pid);

	if (rc != 0 && rc != -ESRCH)
		log_warning("process %d cannot leave cgroup %s: %s", pid, cgroup->path,
			    strerror(-rc));
}

void vm_cgroup_destroy(struct vm_cgroup *cgroup)
{
	if (cgroup->vm_fd >= 0) {
		controllers_disable(cgroup->vm_fd);
		if (cgroup->home_enabled)
			controllers_disable(cgroup->home_fd); /* not while another VM needs them */
		process_move_home(cgroup, getpid());
		process_move_home(cgroup, cgroup->core_pid);
		directory_remove(cgroup->vm_fd, "core");
	}
	if (cgroup->home_fd >= 0)
		directory_remove(cgroup->home_fd, cgroup->name);
	fd_close(&cgroup->vm_fd);
	fd_close(&cgroup->home_fd);
}
