/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations and what is opened for them, kind by kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/support/loop_device.h"
#include "tests/support/scratch_folder.h"
#include "vmm/broker/resource.h"

#define KIND(name) BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_##name

struct fixture {
	char folder[64];
	char path[128];
	char pty[RESOURCE_PTY_PATH_SIZE];
	struct resource_table table;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	scratch_folder_make("resource", fixture->folder, sizeof(fixture->folder));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/x", fixture->folder);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	resource_table_destroy(&fixture->table);
	(void)unlink(fixture->path);
	(void)rmdir(fixture->path);
	assert_int_equal(rmdir(fixture->folder), 0);
	free(fixture);
	return 0;
}

static void file_create(const char *path, off_t size)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static int declare(struct fixture *fixture, const char *id, Bulkhead__Broker__ResourceKind kind,
		   const char *path, bool read_only, uint64_t size_bytes)
{
	Bulkhead__Broker__Resource declaration;
	char *id_copy = strdup(id), *path_copy = strdup(path);
	int rc;

	bulkhead__broker__resource__init(&declaration);
	declaration.id = id_copy;
	declaration.path = path_copy;
	declaration.kind = kind;
	declaration.read_only = read_only;
	declaration.size_bytes = size_bytes;
	rc = resource_table_declare(&fixture->table, &declaration, &fixture->err);
	free(id_copy);
	free(path_copy);
	return rc;
}

static int open_id(struct fixture *fixture, const char *id)
{
	struct resource *resource = resource_table_find(&fixture->table, id);

	assert_non_null(resource);
	return resource_open(resource, fixture->pty, &fixture->err);
}

static void only_what_was_declared_is_found(void **state)
{
	struct fixture *fixture = *state;

	assert_null(resource_table_find(&fixture->table, "kernel"));
	assert_int_equal(declare(fixture, "kernel", KIND(FILE_READ), "/k", false, 0), 0);
	assert_non_null(resource_table_find(&fixture->table, "kernel"));
	assert_null(resource_table_find(&fixture->table, "kerne"));
}

/* A client wants to create a VM while there is one, and is refused: nothing changes for that one.
 */
static void of_several_declarations_the_last_counts_unless_another_is_meant(void **state)
{
	Bulkhead__Broker__Resource meant = BULKHEAD__BROKER__RESOURCE__INIT;
	struct fixture *fixture = *state;
	char id[] = "a", path[] = "/k";

	meant.id = id;
	meant.kind = KIND(FILE_READ);
	meant.path = path;
	assert_null(resource_table_find_same(&fixture->table, &meant));
	assert_int_equal(declare(fixture, "a", KIND(FILE_READ), "/k", false, 0), 0);
	assert_int_equal(declare(fixture, "a", KIND(FILE_READ), "/l", false, 0), 0);
	assert_int_equal(declare(fixture, "a", KIND(DISK), "/k", false, 0), 0);
	assert_int_equal(declare(fixture, "a", KIND(DISK), "/k", true, 0), 0);
	assert_int_equal(resource_table_find(&fixture->table, "a")->kind, KIND(DISK));
	assert_true(resource_table_find(&fixture->table, "a")->read_only);
	assert_int_equal(resource_table_find_same(&fixture->table, &meant)->kind, KIND(FILE_READ));
	meant.read_only = true;
	assert_null(resource_table_find_same(&fixture->table, &meant));
	/* The same once more is the last again, and takes no more room. */
	assert_int_equal(declare(fixture, "a", KIND(FILE_READ), "/l", false, 0), 0);
	assert_string_equal(resource_table_find(&fixture->table, "a")->path, "/l");
	assert_int_equal(fixture->table.count, 4);
}

static void malformed_declarations_are_refused(void **state)
{
	struct fixture *fixture = *state;
	char *longest = calloc(1, PATH_MAX + 1);

	memset(longest, 'x', PATH_MAX);
	assert_int_equal(declare(fixture, "", KIND(FILE_READ), "/k", false, 0), -EINVAL);
	assert_int_equal(declare(fixture, "a b", KIND(FILE_READ), "/k", false, 0), -EINVAL);
	assert_int_equal(declare(fixture, longest, KIND(FILE_READ), "/k", false, 0), -EINVAL);
	assert_int_equal(declare(fixture, "a", KIND(FILE_READ), "", false, 0), -EINVAL);
	assert_int_equal(declare(fixture, "a", KIND(FILE_READ), longest, false, 0), -EINVAL);
	assert_int_equal(declare(fixture, "a", KIND(NONE), "/k", false, 0), -EINVAL);
	assert_int_equal(declare(fixture, "a", (Bulkhead__Broker__ResourceKind)99, "/k", false, 0),
			 -EINVAL);
	assert_int_equal(declare(fixture, "a", KIND(MEMORY_FILE), "/k", false, 0), -EINVAL);
	assert_int_equal(declare(fixture, "a", KIND(MEMORY_FILE), "/k", false, 1ULL << 60),
			 -EINVAL);
	free(longest);
}

static void the_number_of_declarations_is_limited_and_the_oldest_go(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int socket_fd = -1;
	char id[16];

	assert_int_equal(declare(fixture, "api", KIND(LISTEN_SOCKET), fixture->path, false, 0), 0);
	socket_fd = open_id(fixture, "api");
	assert_true(socket_fd >= 0);
	for (int i = 0; i < 10 * RESOURCE_MAX; i++) {
		(void)snprintf(id, sizeof(id), "r%d", i);
		assert_int_equal(declare(fixture, id, KIND(FILE_READ), "/k", false, 0), 0);
		if (i % 7 == 0) /* in use all the time */
			assert_int_equal(declare(fixture, "kvm", KIND(KVM), "", false, 0), 0);
	}
	assert_int_equal(fixture->table.count, RESOURCE_MAX);
	for (int i = 10 * RESOURCE_MAX - 65; i < 10 * RESOURCE_MAX; i++) {
		(void)snprintf(id, sizeof(id), "r%d", i);
		assert_non_null(resource_table_find(&fixture->table, id));
	}
	assert_non_null(resource_table_find(&fixture->table, "kvm"));
	assert_null(resource_table_find(&fixture->table, "r0"));
	/* A socket that stands is remembered, so that it can be removed. */
	assert_non_null(resource_table_find(&fixture->table, "api"));
	assert_int_equal(access(fixture->path, F_OK), 0);
}

static void a_missing_file_is_named_with_its_resource(void **state)
{
	struct fixture *fixture = *state;
	char expected[256];

	assert_int_equal(declare(fixture, "disk:root", KIND(DISK), fixture->path, false, 0), 0);
	assert_int_equal(open_id(fixture, "disk:root"), -ENOENT);
	(void)snprintf(expected, sizeof(expected),
		       "disk \"root\": open %s: No such file or directory", fixture->path);
	assert_string_equal(fixture->err.message, expected);
}

static void a_fifo_neither_blocks_nor_passes_as_a_file(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(mkfifo(fixture->path, 0600), 0);
	assert_int_equal(declare(fixture, "kernel", KIND(FILE_READ), fixture->path, false, 0), 0);
	assert_int_equal(declare(fixture, "disk:d", KIND(DISK), fixture->path, false, 0), 0);
	assert_int_equal(open_id(fixture, "kernel"), -EINVAL);
	assert_int_equal(open_id(fixture, "disk:d"), -EINVAL);
}

static void a_directory_is_no_disk(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(declare(fixture, "disk:d", KIND(DISK), fixture->folder, true, 0), 0);
	assert_int_equal(open_id(fixture, "disk:d"), -EINVAL);
	assert_non_null(strstr(fixture->err.message, "is not a regular file or block device"));
}

static void a_magic_link_is_not_followed(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(declare(fixture, "kernel", KIND(FILE_READ), "/proc/self/exe", false, 0),
			 0);
	assert_int_equal(open_id(fixture, "kernel"), -ELOOP);
}

static void a_disk_is_opened_with_the_declared_access(void **state)
{
	struct fixture *fixture = *state;
	int fd;

	file_create(fixture->path, 4096);
	assert_int_equal(declare(fixture, "disk:d", KIND(DISK), fixture->path, true, 0), 0);
	fd = open_id(fixture, "disk:d");
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void two_writers_of_one_disk_exclude_each_other(void **state)
{
	struct fixture *fixture = *state;
	int first, second;

	file_create(fixture->path, 4096);
	assert_int_equal(declare(fixture, "disk:a", KIND(DISK), fixture->path, false, 0), 0);
	assert_int_equal(declare(fixture, "disk:b", KIND(DISK), fixture->path, false, 0), 0);
	first = open_id(fixture, "disk:a");
	assert_true(first >= 0);
	assert_int_equal(open_id(fixture, "disk:b"), -ETXTBSY);
	assert_non_null(strstr(fixture->err.message, "is in use by another VM or process"));
	assert_ptr_equal(strstr(fixture->err.message, "disk \"b\": "), fixture->err.message);
	close(first);
	second = open_id(fixture, "disk:b");
	assert_true(second >= 0);
	close(second);
}

static void a_block_device_is_claimed_by_whatever_name(void **state)
{
	struct fixture *fixture = *state;
	cleanup_fd int image = memfd_create("image", MFD_CLOEXEC), loop = -1;
	struct stat status;
	char path[32];
	int first;

	assert_int_equal(ftruncate(image, 1 << 20), 0);
	loop = loop_device_make(image, 512, path, sizeof(path));
	if (loop < 0 || fstat(loop, &status) != 0 ||
	    mknod(fixture->path, S_IFBLK | 0600, status.st_rdev) != 0) {
		printf("skip: no loop device is to be had\n");
		skip();
	}
	assert_int_equal(declare(fixture, "disk:a", KIND(DISK), path, false, 0), 0);
	assert_int_equal(declare(fixture, "disk:b", KIND(DISK), fixture->path, false, 0), 0);
	first = open_id(fixture, "disk:a");
	assert_true(first >= 0);
	assert_int_equal(open_id(fixture, "disk:b"), -ETXTBSY);
	close(first);
	assert_int_equal(close(open_id(fixture, "disk:b")), 0);
}

static void readers_share_a_disk_and_exclude_writers(void **state)
{
	struct fixture *fixture = *state;
	int first, second;

	file_create(fixture->path, 4096);
	assert_int_equal(declare(fixture, "disk:a", KIND(DISK), fixture->path, true, 0), 0);
	assert_int_equal(declare(fixture, "disk:w", KIND(DISK), fixture->path, false, 0), 0);
	first = open_id(fixture, "disk:a");
	second = open_id(fixture, "disk:a");
	assert_true(first >= 0 && second >= 0);
	assert_int_equal(open_id(fixture, "disk:w"), -ETXTBSY);
	close(first);
	close(second);
}

static void a_lock_of_another_kind_is_named_with_its_pid(void **state)
{
	struct fixture *fixture = *state;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char expected[32];
	int holder;

	file_create(fixture->path, 4096);
	holder = open(fixture->path, O_RDWR);
	assert_int_equal(fcntl(holder, F_SETLK, &lock), 0);
	assert_int_equal(declare(fixture, "disk:d", KIND(DISK), fixture->path, false, 0), 0);
	assert_int_equal(open_id(fixture, "disk:d"), -ETXTBSY);
	(void)snprintf(expected, sizeof(expected), "(pid %d)", getpid());
	assert_non_null(strstr(fixture->err.message, expected));
	close(holder);
}

static void an_output_file_is_created_private_and_appended_to(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;
	int fd;

	assert_int_equal(declare(fixture, "serial", KIND(OUTPUT_FILE), fixture->path, false, 0), 0);
	for (int i = 1; i <= 2; i++) {
		fd = open_id(fixture, "serial");
		assert_true(fd >= 0);
		assert_int_equal(write(fd, "x", 1), 1);
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal(status.st_size, i);
		assert_int_equal(status.st_mode & 07777, 0600);
		close(fd);
	}
}

static void an_output_file_is_not_written_through_a_symbolic_link(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(symlink("/dev/null", fixture->path), 0);
	assert_int_equal(declare(fixture, "serial", KIND(OUTPUT_FILE), fixture->path, false, 0), 0);
	assert_int_equal(open_id(fixture, "serial"), -ELOOP);
}

static int socket_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -errno;
}

static void a_listening_socket_is_private_and_unlinked_at_the_end(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;
	int fd, client;

	assert_int_equal(declare(fixture, "api", KIND(LISTEN_SOCKET), fixture->path, false, 0), 0);
	fd = open_id(fixture, "api");
	assert_true(fd >= 0);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	client = socket_connect(fixture->path);
	assert_true(client >= 0);
	close(client);
	close(fd);
	resource_table_destroy(&fixture->table);
	assert_int_equal(access(fixture->path, F_OK), -1);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	struct fixture *fixture = *state;
	struct resource_table other = {0};
	int fd, second;

	assert_int_equal(declare(fixture, "api", KIND(LISTEN_SOCKET), fixture->path, false, 0), 0);
	fd = open_id(fixture, "api");
	assert_true(fd >= 0);
	/* Another VM wants the same place. */
	other.count = 1;
	other.entries[0] = fixture->table.entries[0];
	other.entries[0].bound = false;
	assert_int_equal(resource_open(&other.entries[0], fixture->pty, &fixture->err),
			 -EADDRINUSE);
	close(fd); /* dies, and the socket stays behind */
	second = resource_open(&other.entries[0], fixture->pty, &fixture->err);
	assert_true(second >= 0);
	close(second);
	/* The first does not remove what is not its own any more. */
	resource_table_destroy(&fixture->table);
	assert_int_equal(access(fixture->path, F_OK), 0);
}

static void a_file_in_a_sockets_place_is_left_alone(void **state)
{
	struct fixture *fixture = *state;

	file_create(fixture->path, 1);
	assert_int_equal(declare(fixture, "api", KIND(LISTEN_SOCKET), fixture->path, false, 0), 0);
	assert_int_equal(open_id(fixture, "api"), -EEXIST);
	assert_int_equal(access(fixture->path, F_OK), 0);
}

static void a_pty_comes_with_the_path_of_its_slave(void **state)
{
	struct fixture *fixture = *state;
	int fd, slave;

	assert_int_equal(declare(fixture, "console", KIND(PTY), "", false, 0), 0);
	fd = open_id(fixture, "console");
	if (fd < 0) {
		printf("skip: %s\n", fixture->err.message);
		skip();
	}
	slave = open(fixture->pty, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	close(slave);
	close(fd);
}

static void a_memory_file_is_made_as_large_as_declared_and_locked(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;
	int fd;

	assert_int_equal(
		declare(fixture, "memory", KIND(MEMORY_FILE), fixture->path, false, 1U << 20), 0);
	fd = open_id(fixture, "memory");
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, 1U << 20);
	assert_int_equal(open_id(fixture, "memory"), -ETXTBSY);
	close(fd);
}

static void a_snapshot_directory_is_created_private_or_must_be_empty(void **state)
{
	struct fixture *fixture = *state;
	char inner[160];
	struct stat status;
	int fd;

	assert_int_equal(
		declare(fixture, "snapshot", KIND(DIRECTORY_CREATE), fixture->path, false, 0), 0);
	fd = open_id(fixture, "snapshot");
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	close(fd);
	fd = open_id(fixture, "snapshot");
	assert_true(fd >= 0);
	close(fd);
	(void)snprintf(inner, sizeof(inner), "%s/file", fixture->path);
	file_create(inner, 1);
	assert_int_equal(open_id(fixture, "snapshot"), -ENOTEMPTY);
	assert_int_equal(unlink(inner), 0);
}

static void a_file_is_no_snapshot_directory(void **state)
{
	struct fixture *fixture = *state;

	file_create(fixture->path, 1);
	assert_int_equal(declare(fixture, "from", KIND(DIRECTORY_READ), fixture->path, false, 0),
			 0);
	assert_int_equal(open_id(fixture, "from"), -ENOTDIR);
}

#define RESOURCE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RESOURCE_TEST(only_what_was_declared_is_found),
		RESOURCE_TEST(of_several_declarations_the_last_counts_unless_another_is_meant),
		RESOURCE_TEST(malformed_declarations_are_refused),
		RESOURCE_TEST(the_number_of_declarations_is_limited_and_the_oldest_go),
		RESOURCE_TEST(a_missing_file_is_named_with_its_resource),
		RESOURCE_TEST(a_fifo_neither_blocks_nor_passes_as_a_file),
		RESOURCE_TEST(a_directory_is_no_disk),
		RESOURCE_TEST(a_magic_link_is_not_followed),
		RESOURCE_TEST(a_disk_is_opened_with_the_declared_access),
		RESOURCE_TEST(two_writers_of_one_disk_exclude_each_other),
		RESOURCE_TEST(a_block_device_is_claimed_by_whatever_name),
		RESOURCE_TEST(readers_share_a_disk_and_exclude_writers),
		RESOURCE_TEST(a_lock_of_another_kind_is_named_with_its_pid),
		RESOURCE_TEST(an_output_file_is_created_private_and_appended_to),
		RESOURCE_TEST(an_output_file_is_not_written_through_a_symbolic_link),
		RESOURCE_TEST(a_listening_socket_is_private_and_unlinked_at_the_end),
		RESOURCE_TEST(a_stale_socket_is_replaced_and_a_live_one_is_not),
		RESOURCE_TEST(a_file_in_a_sockets_place_is_left_alone),
		RESOURCE_TEST(a_pty_comes_with_the_path_of_its_slave),
		RESOURCE_TEST(a_memory_file_is_made_as_large_as_declared_and_locked),
		RESOURCE_TEST(a_snapshot_directory_is_created_private_or_must_be_empty),
		RESOURCE_TEST(a_file_is_no_snapshot_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
