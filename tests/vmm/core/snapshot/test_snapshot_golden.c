/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that earlier versions made (tests/snapshot/golden/NAME.tar.zst: the directory and the
 * disk) are read for ever, and go on wherever the processor allows it. They are never made anew;
 * a new one for a new version:
 *     BULKHEAD_BUILD=build build/tests/vmm/core/snapshot/test_snapshot_golden --make NAME
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/snapshot/manifest.h"
#include "vmm/core/snapshot/snapshot_file.h"

#define GOLDEN_FOLDER "tests/snapshot/golden"

static void run_tar(char *const argv[])
{
	struct sigaction wait_for_it = {.sa_handler = SIG_DFL}, before;
	int status;
	pid_t child;

	/* With a broker nobody waits for children. */
	assert_int_equal(sigaction(SIGCHLD, &wait_for_it, &before), 0);

	assert_int_equal(posix_spawnp(&child, "tar", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
}

static void unpack(char *archive, char *folder)
{
	char tar[] = "tar", zstd[] = "--zstd", extract[] = "-xSf", into[] = "-C";
	char *argv[] = {tar, zstd, extract, archive, into, folder, NULL};

	run_tar(argv);
}

static int directory_open_file(void *opaque, const char *name, int *fd, struct error *err)
{
	*fd = openat(*(int *)opaque, name, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? error_set_errno(err, -errno, "%s", name) : 0;
}

/* Everything is read and every checksum fits, on any host. */
static void check_whole(const char *path)
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct snapshot_source source = {.open_file = directory_open_file, .opaque = &directory};
	struct memory_progress progress = {0};
	struct error err = ERROR_INIT;
	struct snapshot_reader *reader = snapshot_reader_read(&source, &err);

	if (!reader)
		fail_msg("%s: %s", path, err.message);
	for (size_t i = 0; i < reader->manifest->n_memory; i++) {
		const Bulkhead__Snapshot__MemoryRegion *region = reader->manifest->memory[i];
		struct memory_index index = manifest_memory_index(region);

		if (memory_file_verify(reader->memory_fds[i], region->size_bytes, &index, &progress,
				       &err) != 0)
			fail_msg("%s: %s: %s", path, region->file, err.message);
	}
	snapshot_reader_destroy(reader);
	close(directory);
}

static void set_string(char **target, const char *text)
{
	assert_int_equal(option_set_string(target, text, strlen(text)), 0);
}

static Bulkhead__Config__Vm *overrides_of(struct vm_under_test *test)
{
	Bulkhead__Config__Vm *overrides = vm_config_new();
	Bulkhead__Config__Disk *disk = vm_config_add_disk(overrides);
	char path[128];

	set_string(&disk->id, "root");
	set_string(&disk->path, vm_under_test_path(test, "disk", path, sizeof(path)));
	overrides->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET;
	set_string(&overrides->serial->path,
		   vm_under_test_path(test, "serial.socket", path, sizeof(path)));
	vm_config_console(overrides)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	return overrides;
}

static void check_goes_on(struct vm_under_test *test)
{
	char line[256];

	vm_under_test_connect_serial(test);
	assert_int_equal(vm_under_test_resume(test), 0);
	assert_true(vm_under_test_wait_text(test, "TICK", 2));
	vm_under_test_type(test, "v");
	assert_true(vm_under_test_wait_text(test, "VERIFY ", 0));
	assert_true(vm_under_test_last_line(test, "VERIFY ", line, sizeof(line)));
	if (!strstr(line, "bad_pages=0 bad_sectors=0"))
		fail_msg("%s", line);
	assert_true(vm_under_test_last_line(test, "TICK ", line, sizeof(line)));
	if (!strstr(line, "errors=0"))
		fail_msg("%s", line);
}

/* Not this host's fault: another processor, another TSC. */
static bool is_host_difference(const struct error *err)
{
	return strstr(err->message, "this host") || strstr(err->message, "this one is of") ||
	       strstr(err->message, "this is \"");
}

static void check_golden(char *archive)
{
	struct vm_under_test test;
	char path[128];

	vm_under_test_init(&test);
	test.force = true;
	unpack(archive, test.folder);
	check_whole(vm_under_test_path(&test, "snapshot", path, sizeof(path)));
	if (!vm_under_test_possible()) {
		printf("%s: read, not run\n", archive);
	} else if (vm_under_test_restore_with(&test, path, false, overrides_of(&test)) == 0) {
		check_goes_on(&test);
	} else {
		if (!is_host_difference(&test.result))
			fail_msg("%s: %s", archive, test.result.message);
		printf("%s: read, not run: %s\n", archive, test.result.message);
	}
	vm_under_test_destroy(&test);
}

static void every_golden_snapshot_is_read_and_goes_on(void **state)
{
	glob_t archives;

	(void)state;
	assert_int_equal(glob(GOLDEN_FOLDER "/*.tar.zst", 0, NULL, &archives), 0);
	for (size_t i = 0; i < archives.gl_pathc; i++)
		check_golden(archives.gl_pathv[i]);
	assert_true(archives.gl_pathc > 0);
	globfree(&archives);
}

/* ---- a new one ---- */

/* What its maker's kernel is called is nobody's business. */
static void forget_kernel(const char *path)
{
	Bulkhead__Snapshot__Manifest *manifest;
	struct error err = ERROR_INIT;
	char name[160];
	uint8_t *data;
	size_t bytes;
	int fd;

	(void)snprintf(name, sizeof(name), "%s/%s", path, MANIFEST_FILE_NAME);
	fd = open(name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(snapshot_file_read(fd, SNAPSHOT_MAX_FILE_BYTES, &data, &bytes, &err), 0);
	manifest = manifest_parse(data, bytes, &err);
	assert_non_null(manifest);
	free(data);
	set_string(&manifest->host->kernel_release, "6");
	assert_int_equal(snapshot_file_pack(&manifest->base, &data, &bytes, &err), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(snapshot_file_write(fd, data, bytes, &err), 0);
	free(data);
	manifest_free(manifest);
	close(fd);
}

static int make_golden(const char *name)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot",
		.cmdline = "touch=1 dirty=4 smp=1 interval_ms=50",
		.cpus = 2,
		.memory_bytes = 32 << 20,
	};
	char tar[] = "tar", zstd[] = "--zstd", create[] = "-cSf", from[] = "-C",
	     owner[] = "--owner=0", group[] = "--group=0", snapshot[] = "snapshot", disk[] = "disk";
	char archive[256], path[128];
	struct vm_under_test test;

	vm_under_test_init(&test);
	assert_int_equal(vm_under_test_boot_machine(&test, &machine), 0);
	assert_true(vm_under_test_wait_text(&test, "TICK", 5));
	assert_int_equal(vm_under_test_pause(&test), 0);
	vm_under_test_path(&test, "snapshot", path, sizeof(path));
	assert_int_equal(vm_under_test_snapshot(&test, path), 0);
	vm_under_test_end_vm(&test);
	forget_kernel(path);
	(void)snprintf(archive, sizeof(archive), GOLDEN_FOLDER "/%s.tar.zst", name);
	assert_int_equal(access(archive, F_OK), -1); /* the old ones are for ever */
	run_tar((char *[]){tar, zstd, create, archive, from, test.folder, owner, group, snapshot,
			   disk, NULL});
	vm_under_test_destroy(&test);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_snapshot_is_read_and_goes_on),
	};

	if (argc == 3 && strcmp(argv[1], "--make") == 0)
		return make_golden(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
