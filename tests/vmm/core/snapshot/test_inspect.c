/* SPDX-License-Identifier: Apache-2.0 */
/* `bulkhead inspect` on a snapshot that is whole, and on ones that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "tests/support/scratch_folder.h"
#include "tests/vmm/core/snapshot/snapshot_sample.h"
#include "vmm/core/snapshot/inspect.h"

struct inspect_test {
	struct snapshot_sample sample;
	char folder[64], path[96];
	char output[16384];
	int status;
};

static int setup(void **state)
{
	static struct inspect_test test;

	memset(&test, 0, sizeof(test));
	scratch_folder_make("inspect", test.folder, sizeof(test.folder));
	(void)snprintf(test.path, sizeof(test.path), "%s/snapshot", test.folder);
	sample_init(&test.sample);
	sample_store(&test.sample, test.path);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct inspect_test *test = *state;

	sample_destroy(&test->sample);
	scratch_folder_remove(test->folder);
	return 0;
}

/* In the child: argv is "inspect", the snapshot's directory, and the words of options. */
static int inspect_child(const struct inspect_test *test, const char *options, int output)
{
	char words[128], path[96], name[] = "inspect";
	char *argv[8] = {name, path};
	char *rest = words;
	int argc = 2;

	alarm(20); /* nothing in a snapshot may make it wait */
	(void)snprintf(words, sizeof(words), "%s", options);
	(void)snprintf(path, sizeof(path), "%s", test->path);
	for (char *word; (word = strsep(&rest, " ")) && argc < 7;)
		if (word[0])
			argv[argc++] = word;
	if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
		return 99;
	return inspect_main(argc, argv);
}

/* Run it with these options in a process of its own; both streams are kept. */
static void inspect(struct inspect_test *test, const char *options)
{
	size_t length = 0;
	ssize_t got;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		status = inspect_child(test, options, fds[1]);
		(void)fflush(NULL);
		_exit(status);
	}
	close(fds[1]);
	while ((got = read(fds[0], test->output + length, sizeof(test->output) - 1 - length)) > 0)
		length += (size_t)got;
	close(fds[0]);
	test->output[length] = '\0';
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d: %s", WTERMSIG(status), test->output);
	test->status = WEXITSTATUS(status);
}

static void assert_says(const struct inspect_test *test, const char *text)
{
	if (!strstr(test->output, text))
		fail_msg("does not say \"%s\": %s", text, test->output);
}

static void assert_refused(struct inspect_test *test, const char *options, const char *file,
			   const char *reason)
{
	inspect(test, options);
	if (test->status != 2)
		fail_msg("exit status %d: %s", test->status, test->output);
	assert_says(test, file);
	assert_says(test, reason);
}

static void people_are_told_what_is_in_it(void **state)
{
	struct inspect_test *test = *state;

	inspect(test, "");
	assert_int_equal(test->status, 0);
	assert_says(test, "format 1");
	assert_says(test, "\"sample\", 2 vCPUs, 16 MiB");
	assert_says(test, "parent     none: a full snapshot");
	assert_says(test, "memory-region-0");
	assert_says(test, "0000:00:02.0");
	assert_says(test, "--verify checks memory, too");
	inspect(test, "--verify");
	assert_int_equal(test->status, 0);
	assert_says(test, "every checksum fits");
}

static void a_terminal_is_not_sent_what_the_snapshot_says(void **state)
{
	struct inspect_test *test = *state;

	inspect(test, "");
	assert_says(test, "\\x1b[2J.img");
	assert_null(strchr(test->output, 0x1b));
}

static void programs_are_given_json(void **state)
{
	struct inspect_test *test = *state;
	json_error_t failure;
	const json_t *part;
	json_t *json;

	inspect(test, "--json");
	assert_int_equal(test->status, 0);
	json = json_loads(test->output, JSON_REJECT_DUPLICATES, &failure);
	if (!json)
		fail_msg("%s: %s", failure.text, test->output);
	assert_int_equal(json_integer_value(json_object_get(json, "format_version")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "vcpus")), 2);
	assert_true(json_is_false(json_object_get(json, "verified")));
	assert_string_equal(json_string_value(json_object_get(json, "name")), "sample");
	part = json_array_get(json_object_get(json, "memory"), 0);
	assert_int_equal(json_integer_value(json_object_get(part, "size_bytes")),
			 SAMPLE_MEMORY_BYTES);
	assert_int_equal(json_integer_value(json_object_get(part, "stored_bytes")), 2 * 65536);
	assert_int_equal(json_array_size(json_object_get(json, "devices")), 3);
	part = json_array_get(json_object_get(json, "disks"), 0);
	assert_string_equal(json_string_value(json_object_get(part, "path")),
			    "/srv/\"disk\"\\\x1b[2J.img");
	json_decref(json);
	inspect(test, "--json --verify");
	json = json_loads(test->output, JSON_REJECT_DUPLICATES, &failure);
	assert_non_null(json);
	assert_true(json_is_true(json_object_get(json, "verified")));
	json_decref(json);
}

static void text_that_is_not_utf8_is_still_json(void **state)
{
	struct inspect_test *test = *state;
	json_error_t failure;
	json_t *json;

	free(test->sample.manifest->product_version);
	test->sample.manifest->product_version = strdup("a\xff\xc0\xaf\xed\xa0\x80\xe2\x82z\x7f");
	sample_write_manifest(&test->sample);
	scratch_folder_remove(test->path);
	sample_store(&test->sample, test->path);
	inspect(test, "--json");
	assert_int_equal(test->status, 0);
	json = json_loads(test->output, 0, &failure);
	if (!json)
		fail_msg("%s: %s", failure.text, test->output);
	json_decref(json);
	inspect(test, "");
	assert_says(test, "a\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xe2\\x82z\\x7f");
}

static void change_byte(const struct inspect_test *test, const char *name, off_t offset)
{
	char path[192];
	uint8_t byte;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", test->path, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static void damaged_memory_is_found_by_verify_alone(void **state)
{
	struct inspect_test *test = *state;

	change_byte(test, "memory-region-0", 7 * 65536 + 100);
	inspect(test, "");
	assert_int_equal(test->status, 0);
	assert_refused(test, "--verify", "memory-region-0", "damaged at 458752");
	assert_refused(test, "--verify --json", "memory-region-0", "damaged at 458752");
}

static void a_damaged_small_file_is_always_found(void **state)
{
	struct inspect_test *test = *state;

	change_byte(test, "devices/rng.pb", 3);
	assert_refused(test, "", "devices/rng.pb", "checksum");
}

static void assert_place_refused(struct inspect_test *test, const char *name, const char *reason)
{
	assert_refused(test, "--verify", name, reason);
}

static void what_stands_in_a_files_place_is_refused(void **state)
{
	static const char *const names[] = {"manifest.pb", "config.pb", "devices/root.pb",
					    "memory-region-0"};
	struct inspect_test *test = *state;

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[192], aside[192];

		(void)snprintf(path, sizeof(path), "%s/%s", test->path, names[i]);
		(void)snprintf(aside, sizeof(aside), "%s/aside", test->folder);
		assert_int_equal(rename(path, aside), 0);
		assert_place_refused(test, names[i], "No such file");
		assert_int_equal(mkfifo(path, 0600), 0);
		assert_place_refused(test, names[i], "is not a regular file");
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkdir(path, 0700), 0);
		assert_place_refused(test, names[i], "is not a regular file");
		assert_int_equal(rmdir(path), 0);
		/* Even to the right content: where it leads is not the snapshot's to say. */
		assert_int_equal(symlink(aside, path), 0);
		assert_place_refused(test, names[i], "");
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink("/dev/zero", path), 0);
		assert_place_refused(test, names[i], "");
		assert_int_equal(unlink(path), 0);
		assert_int_equal(rename(aside, path), 0);
	}
	inspect(test, "--verify");
	assert_int_equal(test->status, 0);
}

static void a_memory_file_of_another_size_is_refused(void **state)
{
	struct inspect_test *test = *state;
	char path[192];

	(void)snprintf(path, sizeof(path), "%s/memory-region-0", test->path);
	assert_int_equal(truncate(path, SAMPLE_MEMORY_BYTES - 1), 0);
	assert_refused(test, "--verify", "memory-region-0", "16777215 bytes");
	assert_int_equal(truncate(path, SAMPLE_MEMORY_BYTES + 1), 0);
	assert_refused(test, "--verify", "memory-region-0", "16777217 bytes");
}

static void bad_usage_has_a_status_of_its_own(void **state)
{
	struct inspect_test *test = *state;

	inspect(test, "--what");
	assert_int_equal(test->status, 2);
	assert_says(test, "--what");
	inspect(test, "another");
	assert_int_equal(test->status, 2);
	inspect(test, "--help");
	assert_int_equal(test->status, 0);
	assert_says(test, "Usage:");
	(void)snprintf(test->path, sizeof(test->path), "%s/nothing", test->folder);
	inspect(test, "");
	assert_int_equal(test->status, 2);
	(void)snprintf(test->path, sizeof(test->path), "%s", test->folder);
	inspect(test, "");
	assert_int_equal(test->status, 2);
	assert_says(test, "this is not a snapshot");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(people_are_told_what_is_in_it),
		TEST(a_terminal_is_not_sent_what_the_snapshot_says),
		TEST(programs_are_given_json),
		TEST(text_that_is_not_utf8_is_still_json),
		TEST(damaged_memory_is_found_by_verify_alone),
		TEST(a_damaged_small_file_is_always_found),
		TEST(what_stands_in_a_files_place_is_refused),
		TEST(a_memory_file_of_another_size_is_refused),
		TEST(bad_usage_has_a_status_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
