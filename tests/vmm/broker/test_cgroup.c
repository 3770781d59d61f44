/* SPDX-License-Identifier: Apache-2.0 */
/* On a host with controllers in cgroup v2 the whole of it; elsewhere how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"
#include "vmm/broker/cgroup.h"

/* A folder that looks like a cgroup as far as its files go. */
struct fixture {
	char folder[64];
	int fd;
};

static void file_put(const struct fixture *fixture, const char *name, const char *text)
{
	int fd = openat(fixture->fd, name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	scratch_folder_make("cgroup", fixture->folder, sizeof(fixture->folder));
	fixture->fd = open(fixture->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fixture;
	return fixture->fd < 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	(void)unlinkat(fixture->fd, "cgroup.controllers", 0);
	(void)unlinkat(fixture->fd, "cgroup.procs", 0);
	close(fixture->fd);
	assert_int_equal(rmdir(fixture->folder), 0); /* nothing was left in it */
	free(fixture);
	return 0;
}

static void without_controllers_nothing_is_made(void **state)
{
	const struct fixture *fixture = *state;
	struct vm_cgroup cgroup = VM_CGROUP_INIT;
	struct error err = ERROR_INIT;

	file_put(fixture, "cgroup.controllers", "\n");
	assert_int_equal(vm_cgroup_create_at(&cgroup, fixture->fd, "", getpid(), &err), -ENOTSUP);
	assert_string_equal(err.message, "cgroup v2 has no controllers here");
	vm_cgroup_destroy(&cgroup);
}

static void a_tree_that_is_not_ours_is_left_as_it_was(void **state)
{
	const struct fixture *fixture = *state;
	struct vm_cgroup cgroup = VM_CGROUP_INIT;
	struct error err = ERROR_INIT;
	struct stat status;

	/* A new folder here has no cgroup.procs: nothing can be moved into it. */
	file_put(fixture, "cgroup.controllers", "cpu io memory pids\n");
	assert_true(vm_cgroup_create_at(&cgroup, fixture->fd, "/home", getpid(), &err) < 0);
	assert_int_equal(fstat(fixture->fd, &status), 0); /* still open, still ours to close */
	vm_cgroup_destroy(&cgroup);
}

static void without_a_cgroup_a_worker_gets_none(void **state)
{
	struct vm_cgroup cgroup = VM_CGROUP_INIT;
	char name[16] = "x";

	(void)state;
	assert_int_equal(vm_cgroup_add(&cgroup, "blk", "root", name, sizeof(name)), -1);
	assert_string_equal(name, "");
	vm_cgroup_remove(&cgroup, name);
	vm_cgroup_destroy(&cgroup);
}

static int make_and_remove(void)
{
	struct vm_cgroup cgroup = VM_CGROUP_INIT;
	struct error err = ERROR_INIT;
	char name[PATH_MAX];
	int fd;

	if (vm_cgroup_create(&cgroup, getpid(), &err) != 0) {
		printf("skip: %s\n", err.message);
		return 77;
	}
	fd = vm_cgroup_add(&cgroup, "blk", "a/b.c", name, sizeof(name));
	if (fd < 0 || strcmp(name, "blk-a_b_c") != 0)
		return 1;
	close(fd);
	vm_cgroup_remove(&cgroup, name);
	if (faccessat(cgroup.vm_fd, name, F_OK, 0) == 0)
		return 2;
	vm_cgroup_destroy(&cgroup);
	return 0;
}

static void a_vms_cgroup_is_made_and_removed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int result = make_and_remove();

		(void)fflush(stdout);
		_exit(result);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_controllers_nothing_is_made, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_tree_that_is_not_ours_is_left_as_it_was, setup,
						teardown),
		cmocka_unit_test(without_a_cgroup_a_worker_gets_none),
		cmocka_unit_test(a_vms_cgroup_is_made_and_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
