/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/devworkers/common/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_for(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int child_run(child_fn function, void *opaque)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(function(opaque));
	return pid < 0 ? -1 : wait_for(pid);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = (ssize_t)strlen(text);
	int rc = fd >= 0 && write(fd, text, (size_t)length) == length ? 0 : -1;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int enter_namespaces(void)
{
	char line[32];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
	    write_file("/proc/self/setgroups", "deny") != 0)
		return -1;
	(void)snprintf(line, sizeof(line), "0 %u 1", uid);
	if (write_file("/proc/self/uid_map", line) != 0)
		return -1;
	(void)snprintf(line, sizeof(line), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", line);
}

int child_run_in_namespaces(child_fn function, void *opaque)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(enter_namespaces() == 0 ? function(opaque) : 125);
	return pid < 0 ? -1 : wait_for(pid);
}

static int do_nothing(void *opaque)
{
	(void)opaque;
	return 0;
}

bool child_can_have_namespaces(void)
{
	return child_run_in_namespaces(do_nothing, NULL) == 0;
}
