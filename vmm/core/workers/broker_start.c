/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/workers/broker_start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define BROKER_CORE_FD 3
#define BROKER_LOG_FD  4
#define FIRST_FREE_FD  5
#define MAX_ARGUMENTS  12

/* argv under construction. Long enough for the longest path and its option's name. */
struct argument_list {
	unsigned count;
	char *argv[MAX_ARGUMENTS + 1];
};

static void arguments_free(struct argument_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		free(list->argv[i]);
}

#define cleanup_arguments __attribute__((cleanup(arguments_free)))

/* "NAME=TEXT"; nothing for a TEXT of NULL. */
static int arguments_add(struct argument_list *list, const char *name, const char *text,
			 struct error *err)
{
	if (!text)
		return 0;
	if (list->count == MAX_ARGUMENTS ||
	    asprintf(&list->argv[list->count], "%s%s%s", name, *name ? "=" : "", text) < 0)
		return error_set_errno(err, -ENOMEM, "broker's arguments");
	list->count++;
	return 0;
}

static int arguments_fill(struct argument_list *list, const char *program,
			  const struct broker_start_options *options, struct error *err)
{
	char level[12], core[12], log[12];
	int rc = arguments_add(list, "", program, err);

	(void)snprintf(level, sizeof(level), "%d", options->log_level);
	(void)snprintf(core, sizeof(core), "%d", BROKER_CORE_FD);
	(void)snprintf(log, sizeof(log), "%d", BROKER_LOG_FD);
	if (rc == 0)
		rc = arguments_add(list, "--core-fd", core, err);
	if (rc == 0)
		rc = arguments_add(list, "--log-fd", log, err);
	if (rc == 0)
		rc = arguments_add(list, "--log-level", level, err);
	if (rc == 0 && options->log_json)
		rc = arguments_add(list, "", "--log-json", err);
	if (rc == 0)
		rc = arguments_add(list, "--vm-name", options->vm_name, err);
	if (rc == 0)
		rc = arguments_add(list, "--seccomp", options->seccomp, err);
	if (rc == 0)
		rc = arguments_add(list, "--uid-range", options->uid_range, err);
	if (rc == 0)
		rc = arguments_add(list, "--uid-lock", options->uid_lock_path, err);
	if (rc == 0)
		rc = arguments_add(list, "--allow-missing", options->allow_missing, err);
	if (rc == 0)
		rc = arguments_add(list, "--worker-folder", options->worker_folder, err);
	return rc;
}

/* The broker stands beside our own program. */
static int program_find(char *path, size_t size, struct error *err)
{
	static const char name[] = "bulkhead-broker";
	ssize_t length = readlink("/proc/self/exe", path, size - sizeof(name) - 1);
	char *slash;

	if (length < 0)
		return error_set_errno(err, -errno, "read /proc/self/exe");
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return error_set(err, -ENOENT, "own program has no folder");
	memcpy(slash + 1, name, sizeof(name));
	return 0;
}

/* The child's fds are given by number; copies above those numbers keep them from overwriting each
 * other. */
static int start_with_fds(const char *program, char *const *argv, int core_fd, int log_fd,
			  int *pidfd, struct error *err)
{
	cleanup_fd int core_copy = fcntl(core_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	cleanup_fd int log_copy = fcntl(log_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	char *const no_environment[] = {NULL};
	/* It is the only child, and the core may not wait for it once it is locked down. */
	const struct sigaction no_zombies = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int rc;

	if (core_copy < 0 || log_copy < 0)
		return error_set_errno(err, -errno, "fds for the broker");
	if (sigaction(SIGCHLD, &no_zombies, NULL) != 0)
		return error_set_errno(err, -errno, "SIGCHLD");
	rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0)
		return error_set_errno(err, -rc, "start the broker");
	rc = posix_spawn_file_actions_adddup2(&actions, core_copy, BROKER_CORE_FD);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, log_copy, BROKER_LOG_FD);
	if (rc == 0)
		rc = posix_spawn(&pid, program, &actions, NULL, argv, no_environment);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0)
		return error_set_errno(err, -rc, "start %s", program);
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return 0;
}

int broker_start_process(const struct broker_start_options *options, int *pidfd, struct error *err)
{
	cleanup_arguments struct argument_list arguments = {0};
	char path[PATH_MAX];
	int ends[2];
	int rc = 0;

	if (options->program)
		(void)snprintf(path, sizeof(path), "%s", options->program);
	else
		rc = program_find(path, sizeof(path), err);
	if (rc == 0)
		rc = arguments_fill(&arguments, path, options, err);
	if (rc == 0)
		rc = channel_socketpair(ends, err);
	if (rc != 0)
		return rc;
	rc = start_with_fds(path, arguments.argv, ends[1], options->log_fd, pidfd, err);
	close(ends[1]);
	if (rc != 0) {
		close(ends[0]);
		return rc;
	}
	return ends[0];
}
