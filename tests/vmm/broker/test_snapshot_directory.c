/* SPDX-License-Identifier: Apache-2.0 */
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
#include "vmm/broker/snapshot_directory.h"

#define NOBODY 65534

struct directory_test {
	char folder[64], path[96];
	struct snapshot_directory directory;
	struct error err;
};

static int setup(void **state)
{
	struct directory_test *test = calloc(1, sizeof(*test));

	assert_non_null(test);
	scratch_folder_make("directory", test->folder, sizeof(test->folder));
	(void)snprintf(test->path, sizeof(test->path), "%s/snapshot", test->folder);
	test->directory = (struct snapshot_directory)SNAPSHOT_DIRECTORY_INIT;
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct directory_test *test = *state;

	snapshot_directory_close(&test->directory);
	scratch_folder_remove(test->folder);
	free(test);
	return 0;
}

static void create(struct directory_test *test)
{
	if (snapshot_directory_create(&test->directory, test->path, &test->err) != 0)
		fail_msg("%s", test->err.message);
}

/* Open a file and close it again. Returns 0 or the error. */
static int open_file(struct directory_test *test, const char *name)
{
	int fd = snapshot_directory_open_file(&test->directory, name, &test->err);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void make_file(struct directory_test *test, const char *name)
{
	if (open_file(test, name) != 0)
		fail_msg("%s", test->err.message);
}

static bool exists(struct directory_test *test, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", test->path, name);
	return access(path, F_OK) == 0;
}

static void make_stranger(struct directory_test *test, const char *name)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", test->path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void make_whole(struct directory_test *test)
{
	create(test);
	make_file(test, "memory-region-0");
	make_file(test, "devices/root.pb");
	make_file(test, SNAPSHOT_MANIFEST_TEMP);
}

static void a_committed_directory_stays(void **state)
{
	struct directory_test *test = *state;
	struct stat status;

	make_whole(test);
	assert_false(exists(test, SNAPSHOT_MANIFEST));
	assert_int_equal(snapshot_directory_commit(&test->directory, &test->err), 0);
	snapshot_directory_close(&test->directory);
	assert_true(exists(test, SNAPSHOT_MANIFEST));
	assert_false(exists(test, SNAPSHOT_MANIFEST_TEMP));
	assert_true(exists(test, "devices/root.pb"));
	assert_int_equal(stat(test->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
}

static void a_directory_that_is_not_committed_goes(void **state)
{
	struct directory_test *test = *state;

	make_whole(test);
	snapshot_directory_close(&test->directory);
	assert_int_equal(access(test->path, F_OK), -1);
}

static void an_empty_directory_that_was_there_is_emptied_and_stays(void **state)
{
	struct directory_test *test = *state;

	assert_int_equal(mkdir(test->path, 0750), 0);
	make_whole(test);
	snapshot_directory_close(&test->directory);
	assert_int_equal(rmdir(test->path), 0);
}

static void what_somebody_else_put_there_is_not_removed(void **state)
{
	struct directory_test *test = *state;

	make_whole(test);
	make_stranger(test, "letter");
	make_stranger(test, "devices/letter");
	snapshot_directory_close(&test->directory);
	assert_true(exists(test, "letter"));
	assert_true(exists(test, "devices/letter"));
	assert_false(exists(test, "memory-region-0"));
	assert_false(exists(test, "devices/root.pb"));
}

static void a_directory_that_is_not_empty_is_refused_and_kept(void **state)
{
	struct directory_test *test = *state;

	assert_int_equal(mkdir(test->path, 0700), 0);
	make_stranger(test, ".hidden");
	assert_int_equal(snapshot_directory_create(&test->directory, test->path, &test->err),
			 -ENOTEMPTY);
	assert_non_null(strstr(test->err.message, ".hidden"));
	assert_true(exists(test, ".hidden"));
	assert_int_equal(test->directory.fd, -1);
}

static void a_snapshot_is_not_written_over(void **state)
{
	struct directory_test *test = *state;

	make_whole(test);
	assert_int_equal(snapshot_directory_commit(&test->directory, &test->err), 0);
	snapshot_directory_close(&test->directory);
	assert_int_equal(snapshot_directory_create(&test->directory, test->path, &test->err),
			 -ENOTEMPTY);
	assert_true(exists(test, SNAPSHOT_MANIFEST));
}

static void a_missing_parent_is_not_created(void **state)
{
	struct directory_test *test = *state;

	(void)snprintf(test->path, sizeof(test->path), "%s/no/such", test->folder);
	assert_int_equal(snapshot_directory_create(&test->directory, test->path, &test->err),
			 -ENOENT);
	assert_non_null(strstr(test->err.message, test->path));
	assert_int_equal(snapshot_directory_read(&test->directory, test->path, &test->err),
			 -ENOENT);
}

static void what_is_not_a_directory_is_refused(void **state)
{
	struct directory_test *test = *state;
	int fd = open(test->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(snapshot_directory_create(&test->directory, test->path, &test->err),
			 -ENOTDIR);
	assert_int_equal(snapshot_directory_read(&test->directory, test->path, &test->err),
			 -ENOTDIR);
	assert_int_equal(access(test->path, F_OK), 0);
}

/* In a child without privileges; its status is the error. */
static int as_nobody(struct directory_test *test,
		     int (*action)(struct snapshot_directory *, const char *, struct error *))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(200);
		_exit(-action(&test->directory, test->path, &test->err));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void what_the_user_may_not_do_is_not_done(void **state)
{
	struct directory_test *test = *state;

	if (geteuid() != 0) {
		printf("skip: needs root, to become somebody else\n");
		skip();
	}
	assert_int_equal(as_nobody(test, snapshot_directory_create), -EACCES);
	assert_int_equal(access(test->path, F_OK), -1);
	assert_int_equal(chmod(test->folder, 0711), 0);
	assert_int_equal(mkdir(test->path, 0700), 0);
	assert_int_equal(as_nobody(test, snapshot_directory_create), -EACCES);
	assert_int_equal(as_nobody(test, snapshot_directory_read), -EACCES);
	assert_int_equal(access(test->path, F_OK), 0);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = {"",
					    ".",
					    "..",
					    "../x",
					    "/etc/passwd",
					    "a/b",
					    "devices/",
					    "devices/.",
					    "devices/..",
					    "devices/../x",
					    "devices/a/b",
					    "devices",
					    ".hidden",
					    "devices//a",
					    "a b",
					    "a\nb",
					    "caf\xc3\xa9",
					    "~",
					    "a\\b",
					    "./manifest.pb"};
	struct directory_test *test = *state;
	char longest[256];

	create(test);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i], "devices") == 0)
			continue;
		assert_int_equal(open_file(test, names[i]), -EINVAL);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(open_file(test, longest), -EINVAL);
	snapshot_directory_close(&test->directory);
	assert_int_equal(access(test->path, F_OK), -1);
}

static void a_file_is_not_opened_twice_for_writing(void **state)
{
	struct directory_test *test = *state;

	create(test);
	make_file(test, "vm.pb");
	assert_int_equal(open_file(test, "vm.pb"), -EEXIST);
	assert_non_null(strstr(test->err.message, "vm.pb"));
}

static void a_link_that_waits_for_us_is_not_followed(void **state)
{
	struct directory_test *test = *state;
	char link[160], target[160];

	create(test);
	(void)snprintf(link, sizeof(link), "%s/vm.pb", test->path);
	(void)snprintf(target, sizeof(target), "%s/victim", test->folder);
	assert_int_equal(symlink(target, link), 0);
	assert_true(open_file(test, "vm.pb") < 0);
	assert_int_equal(access(target, F_OK), -1);
	(void)snprintf(link, sizeof(link), "%s/devices", test->path);
	assert_int_equal(symlink(test->folder, link), 0);
	assert_true(open_file(test, "devices/root.pb") < 0);
	(void)snprintf(target, sizeof(target), "%s/root.pb", test->folder);
	assert_int_equal(access(target, F_OK), -1);
}

static void so_many_files_and_no_more(void **state)
{
	struct directory_test *test = *state;
	char name[32];

	create(test);
	for (unsigned i = 0; i < SNAPSHOT_MAX_FILES; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		make_file(test, name);
	}
	assert_int_equal(open_file(test, "one-more"), -E2BIG);
}

static void one_directory_at_a_time(void **state)
{
	struct directory_test *test = *state;
	char other[128];

	create(test);
	make_file(test, "vm.pb");
	(void)snprintf(other, sizeof(other), "%s/other", test->folder);
	assert_int_equal(snapshot_directory_create(&test->directory, other, &test->err), -EBUSY);
	assert_int_equal(snapshot_directory_read(&test->directory, test->folder, &test->err),
			 -EBUSY);
	assert_true(exists(test, "vm.pb"));
	assert_int_equal(access(other, F_OK), -1);
}

static void without_a_directory_nothing_is_opened_or_committed(void **state)
{
	struct directory_test *test = *state;

	assert_int_equal(open_file(test, "vm.pb"), -EPERM);
	assert_int_equal(snapshot_directory_commit(&test->directory, &test->err), -EPERM);
	snapshot_directory_close(&test->directory);
}

static void a_commit_without_a_manifest_fails_and_leaves_nothing(void **state)
{
	struct directory_test *test = *state;

	create(test);
	make_file(test, "vm.pb");
	assert_int_equal(snapshot_directory_commit(&test->directory, &test->err), -ENOENT);
	snapshot_directory_close(&test->directory);
	assert_int_equal(access(test->path, F_OK), -1);
}

static void a_manifest_that_appeared_in_the_meantime_is_not_replaced(void **state)
{
	struct directory_test *test = *state;

	make_whole(test);
	make_stranger(test, SNAPSHOT_MANIFEST);
	assert_int_equal(snapshot_directory_commit(&test->directory, &test->err), -EEXIST);
	snapshot_directory_close(&test->directory);
	assert_true(exists(test, SNAPSHOT_MANIFEST));
	assert_false(exists(test, "vm.pb"));
}

static void reading_changes_nothing(void **state)
{
	struct directory_test *test = *state;
	int fd;

	make_whole(test);
	assert_int_equal(snapshot_directory_commit(&test->directory, &test->err), 0);
	snapshot_directory_close(&test->directory);
	assert_int_equal(snapshot_directory_read(&test->directory, test->path, &test->err), 0);
	fd = snapshot_directory_open_file(&test->directory, "devices/root.pb", &test->err);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	assert_int_equal(open_file(test, "new.pb"), -ENOENT);
	assert_int_equal(snapshot_directory_commit(&test->directory, &test->err), -EPERM);
	snapshot_directory_close(&test->directory);
	assert_true(exists(test, SNAPSHOT_MANIFEST));
	assert_true(exists(test, "memory-region-0"));
}

static void what_is_read_is_a_regular_file_of_the_directory(void **state)
{
	struct directory_test *test = *state;
	char name[160];

	assert_int_equal(mkdir(test->path, 0700), 0);
	(void)snprintf(name, sizeof(name), "%s/fifo", test->path);
	assert_int_equal(mkfifo(name, 0600), 0);
	(void)snprintf(name, sizeof(name), "%s/link", test->path);
	assert_int_equal(symlink("/etc/passwd", name), 0);
	(void)snprintf(name, sizeof(name), "%s/devices", test->path);
	assert_int_equal(symlink("/etc", name), 0);
	assert_int_equal(snapshot_directory_read(&test->directory, test->path, &test->err), 0);
	assert_int_equal(open_file(test, "fifo"), -EINVAL);
	assert_non_null(strstr(test->err.message, "is not a regular file"));
	assert_int_equal(open_file(test, "link"), -ELOOP);
	assert_int_equal(open_file(test, "devices/passwd"), -ELOOP);
	assert_int_equal(open_file(test, "devices"), -ELOOP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void a_folder_that_became_a_link_is_not_followed_when_files_are_removed(void **state)
{
	struct directory_test *test = *state;
	char elsewhere[128], file[160], devices[128], moved[128];
	int fd;

	create(test);
	assert_int_equal(open_file(test, "devices/root.pb"), 0);
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", test->folder);
	(void)snprintf(file, sizeof(file), "%s/root.pb", elsewhere);
	(void)snprintf(devices, sizeof(devices), "%s/devices", test->path);
	(void)snprintf(moved, sizeof(moved), "%s/moved", test->folder);
	assert_int_equal(mkdir(elsewhere, 0700), 0);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rename(devices, moved), 0);
	assert_int_equal(symlink(elsewhere, devices), 0);
	snapshot_directory_close(&test->directory);
	assert_int_equal(access(file, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_committed_directory_stays),
		TEST(a_directory_that_is_not_committed_goes),
		TEST(an_empty_directory_that_was_there_is_emptied_and_stays),
		TEST(what_somebody_else_put_there_is_not_removed),
		TEST(a_folder_that_became_a_link_is_not_followed_when_files_are_removed),
		TEST(a_directory_that_is_not_empty_is_refused_and_kept),
		TEST(a_snapshot_is_not_written_over),
		TEST(a_missing_parent_is_not_created),
		TEST(what_is_not_a_directory_is_refused),
		TEST(what_the_user_may_not_do_is_not_done),
		TEST(names_that_lead_elsewhere_are_refused),
		TEST(a_file_is_not_opened_twice_for_writing),
		TEST(a_link_that_waits_for_us_is_not_followed),
		TEST(so_many_files_and_no_more),
		TEST(one_directory_at_a_time),
		TEST(without_a_directory_nothing_is_opened_or_committed),
		TEST(a_commit_without_a_manifest_fails_and_leaves_nothing),
		TEST(a_manifest_that_appeared_in_the_meantime_is_not_replaced),
		TEST(reading_changes_nothing),
		TEST(what_is_read_is_a_regular_file_of_the_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
