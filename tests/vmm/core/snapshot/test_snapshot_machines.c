/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines of every kind through snapshot and restore: several processors, much memory, huge pages,
 * a backing file; and their devices go on: serial input, entropy, disk.
 */
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
#include <unistd.h>

#include "tests/vmm/core/snapshot/huge_pages.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/core/control/vm_parts.h"

#define SHARED_FILE "/dev/shm/bulkhead-test-ram"
#define HIGH_OFFSET (700U << 20) /* into the memory above 4 GiB */

static struct vm_under_test test;

static int setup(void **state)
{
	*state = NULL;
	if (!vm_under_test_possible())
		return 0;
	vm_under_test_init(&test);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	if (*state)
		vm_under_test_destroy(&test);
	huge_pages_give_back();
	(void)unlink(SHARED_FILE);
	return 0;
}

static void check(int result)
{
	if (result != 0)
		fail_msg("%s", test.result.message);
}

static void boot(void **state, const struct vm_under_test_machine *machine)
{
	if (!*state)
		skip();
	check(vm_under_test_boot_machine(&test, machine));
	if (machine->serial_socket)
		vm_under_test_connect_serial(&test);
	if (!vm_under_test_wait_text(&test, "TICK", 1))
		fail_msg("the guest does not tick");
}

static unsigned ask(const char *command, const char *answer)
{
	unsigned before = vm_under_test_count_text(&test, answer);

	vm_under_test_type(&test, command);
	if (!vm_under_test_wait_text(&test, answer, before))
		fail_msg("no %s", answer);
	return before + 1;
}

static uint64_t number_of(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	if (!at)
		fail_msg("\"%s\" has no %s", line, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static uint64_t status_number(const char *name)
{
	char line[256];

	(void)ask("s", "STATUS ");
	assert_true(vm_under_test_last_line(&test, "STATUS ", line, sizeof(line)));
	return number_of(line, name);
}

static void assert_verifies(void)
{
	char line[256];

	(void)ask("v", "VERIFY ");
	assert_true(vm_under_test_last_line(&test, "VERIFY ", line, sizeof(line)));
	assert_int_equal(number_of(line, "bad_pages="), 0);
	assert_int_equal(number_of(line, "bad_sectors="), 0);
	assert_int_equal(status_number(" errors="), 0);
}

static void save(const char *name, char *path, size_t bytes)
{
	check(vm_under_test_pause(&test));
	check(vm_under_test_snapshot(&test, vm_under_test_path(&test, name, path, bytes)));
	vm_under_test_end_vm(&test);
}

static void go_on(const struct vm_under_test_machine *machine)
{
	unsigned ticks;

	if (machine->serial_socket)
		vm_under_test_connect_serial(&test);
	ticks = vm_under_test_count_text(&test, "TICK");
	check(vm_under_test_resume(&test));
	if (!vm_under_test_wait_text(&test, "TICK", ticks + 1))
		fail_msg("the guest does not go on");
}

/* Twice: what a restored machine saves must be as good as what was booted. */
static void through_snapshots(void **state, const struct vm_under_test_machine *machine,
			      bool on_demand)
{
	char path[128];

	boot(state, machine);
	save("first", path, sizeof(path));
	check(vm_under_test_restore(&test, path, on_demand));
	go_on(machine);
	assert_verifies();
	save("second", path, sizeof(path));
	check(vm_under_test_restore(&test, path, on_demand));
	go_on(machine);
	assert_verifies();
}

static void four_processors_go_on(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot",
		.cmdline = "touch=4 smp=1",
		.cpus = 4,
		.serial_socket = true,
	};
	uint64_t least;
	char path[128];

	boot(state, &machine);
	assert_int_equal(status_number("cpus="), 4);
	save("smp", path, sizeof(path));
	check(vm_under_test_restore(&test, path, false));
	go_on(&machine);
	/* Each of the others is woken by its own timer. */
	least = status_number("least=");
	vm_under_test_run_ms(&test, 200);
	assert_true(status_number("least=") > least);
	assert_verifies();
}

static void memory_above_the_hole_comes_back_and_is_stored_sparsely(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot",
		.cmdline = "touch=1",
		.memory_bytes = 4ULL << 30,
		.serial_socket = true,
	};
	const struct guest_memory_region *high;
	struct stat regions[2];
	char path[128], name[160];

	boot(state, &machine);
	check(vm_under_test_pause(&test));
	high = &test.vm->memory.regions[1];
	memset(high->hva + HIGH_OFFSET, 0xa5, 4096);
	check(vm_under_test_resume(&test));
	save("sparse", path, sizeof(path));
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof(name), "%s/memory-region-%u", path, i);
		assert_int_equal(stat(name, &regions[i]), 0);
	}
	assert_int_equal(regions[0].st_size, 3LL << 30);
	assert_int_equal(regions[1].st_size, 1LL << 30);
	assert_true(regions[0].st_blocks * 512LL < 16 << 20);
	assert_true(regions[1].st_blocks * 512LL < 1 << 20);
	assert_true(regions[1].st_blocks > 0);
	check(vm_under_test_restore(&test, path, false));
	high = &test.vm->memory.regions[1];
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(high->hva[HIGH_OFFSET + i], 0xa5);
	assert_int_equal(high->hva[HIGH_OFFSET - 1], 0);
	assert_int_equal(high->hva[HIGH_OFFSET + 4096], 0);
	go_on(&machine);
	assert_verifies();
}

static void a_machine_of_one_processor_goes_on_twice(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot", .cmdline = "touch=8", .serial_socket = true};

	through_snapshots(state, &machine, false);
}

static void huge_pages_go_on(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot",
		.cmdline = "touch=8",
		.memory_bytes = 64 << 20,
		.hugepages = true,
		.serial_socket = true,
	};

	if (!huge_pages_reserve(40))
		skip();
	through_snapshots(state, &machine, false);
}

static void memory_in_a_backing_file_goes_on(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot", .cmdline = "touch=8", .serial_socket = true};
	char file[128];

	machine.memory_file = vm_under_test_path(&test, "ram", file, sizeof(file));
	through_snapshots(state, &machine, false);
}

/* The file that the VM left behind holds what came after the snapshot. */
static void a_backing_file_holds_nothing_of_later(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot", .cmdline = "touch=1", .serial_socket = true};
	char path[128], file[128], byte = 0;
	uint8_t dirt[4096];
	int fd;

	machine.memory_file = vm_under_test_path(&test, "ram", file, sizeof(file));
	boot(state, &machine);
	save("clean", path, sizeof(path));
	memset(dirt, 0xdd, sizeof(dirt));
	fd = open(file, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, dirt, sizeof(dirt), 100 << 20), sizeof(dirt));
	check(vm_under_test_restore(&test, path, false));
	assert_int_equal(pread(fd, &byte, 1, 100 << 20), 1);
	assert_int_equal(byte, 0);
	close(fd);
	go_on(&machine);
	assert_verifies();
}

/* ---- on demand ---- */

static void require_on_demand(void **state)
{
	if (!*state)
		skip();
	if (access("/dev/userfaultfd", R_OK | W_OK) != 0) {
		printf("skip: no access to /dev/userfaultfd\n");
		skip();
	}
}

static void two_processors_go_on_on_demand(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot",
		.cmdline = "touch=8 smp=1",
		.cpus = 2,
		.serial_socket = true,
	};

	require_on_demand(state);
	through_snapshots(state, &machine, true);
}

static void huge_pages_go_on_on_demand(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot",
		.cmdline = "touch=8",
		.memory_bytes = 64 << 20,
		.hugepages = true,
		.serial_socket = true,
	};

	require_on_demand(state);
	if (!huge_pages_reserve(40))
		skip();
	through_snapshots(state, &machine, true);
}

static void memory_above_the_hole_goes_on_on_demand(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot",
		.cmdline = "touch=1",
		.memory_bytes = 4ULL << 30,
		.serial_socket = true,
	};

	require_on_demand(state);
	through_snapshots(state, &machine, true);
}

static void fill_file(const char *path, size_t bytes)
{
	static uint8_t dirt[1 << 20];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	memset(dirt, 0xdd, sizeof(dirt));
	for (size_t done = 0; done < bytes; done += sizeof(dirt))
		assert_int_equal(write(fd, dirt, sizeof(dirt)), sizeof(dirt));
	close(fd);
}

/* What the file held before must not be taken for what the snapshot holds. */
static void a_used_backing_file_is_restored_on_demand(void **state)
{
	struct vm_under_test_machine machine = {.guest = "snapshot",
						.cmdline = "touch=8",
						.memory_file = SHARED_FILE,
						.serial_socket = true};
	char path[128];

	require_on_demand(state);
	if (access("/dev/shm", W_OK) != 0) {
		printf("skip: no /dev/shm\n");
		skip();
	}
	boot(state, &machine);
	save("first", path, sizeof(path));
	fill_file(SHARED_FILE, 128 << 20);
	check(vm_under_test_restore(&test, path, true));
	go_on(&machine);
	assert_verifies();
}

static void entropy_is_served_after_a_restore(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot", .cmdline = "touch=1", .serial_socket = true};
	char path[128], one[128], other[128];

	boot(state, &machine);
	save("entropy", path, sizeof(path));
	check(vm_under_test_restore(&test, path, false));
	go_on(&machine);
	(void)ask("r", "RANDOM ");
	assert_true(vm_under_test_last_line(&test, "RANDOM ", one, sizeof(one)));
	vm_under_test_end_vm(&test);
	check(vm_under_test_restore(&test, path, false));
	go_on(&machine);
	(void)ask("r", "RANDOM ");
	assert_true(vm_under_test_last_line(&test, "RANDOM ", other, sizeof(other)));
	assert_null(strstr(one, "none"));
	assert_string_not_equal(one, other); /* a clone draws its own */
}

/* The disk as it is now. */
static void copy_disk(const char *to)
{
	static uint8_t content[1 << 20];
	char disk[128];
	int from_fd =
		open(vm_under_test_path(&test, "disk", disk, sizeof(disk)), O_RDONLY | O_CLOEXEC);
	int to_fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(from_fd >= 0 && to_fd >= 0);
	assert_int_equal(read(from_fd, content, sizeof(content)), sizeof(content));
	assert_int_equal(write(to_fd, content, sizeof(content)), sizeof(content));
	close(from_fd);
	close(to_fd);
}

static void clones_have_disks_of_their_own(void **state)
{
	struct vm_under_test_machine machine = {
		.guest = "snapshot", .cmdline = "touch=1 interval_ms=20", .serial_socket = true};
	Bulkhead__Config__Vm *overrides;
	Bulkhead__Config__Disk *disk;
	char path[128], copy[128];

	boot(state, &machine);
	save("base", path, sizeof(path));
	vm_under_test_path(&test, "copy", copy, sizeof(copy));
	copy_disk(copy);
	check(vm_under_test_restore(&test, path, false));
	go_on(&machine);
	vm_under_test_end_vm(&test);
	/* The first clone has written to the first disk: the copy is as it was at the snapshot. */
	overrides = vm_config_new();
	disk = vm_config_add_disk(overrides);
	assert_int_equal(option_set_string(&disk->id, "root", 4), 0);
	assert_int_equal(option_set_string(&disk->path, copy, strlen(copy)), 0);
	check(vm_under_test_restore_with(&test, path, false, overrides));
	go_on(&machine);
	assert_verifies();
}

static void a_disk_of_another_size_is_refused_by_name(void **state)
{
	struct vm_under_test_machine machine = {.guest = "snapshot", .cmdline = "touch=1"};
	Bulkhead__Config__Vm *overrides = vm_config_new();
	Bulkhead__Config__Disk *disk = vm_config_add_disk(overrides);
	char path[128], other[128];
	int fd;

	boot(state, &machine);
	save("base", path, sizeof(path));
	vm_under_test_path(&test, "other", other, sizeof(other));
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 2 << 20), 0);
	close(fd);
	assert_int_equal(option_set_string(&disk->id, "root", 4), 0);
	assert_int_equal(option_set_string(&disk->path, other, strlen(other)), 0);
	assert_true(vm_under_test_restore_with(&test, path, false, overrides) < 0);
	if (!strstr(test.result.message, "\"root\"") || !strstr(test.result.message, "2097152"))
		fail_msg("%s", test.result.message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_machine_of_one_processor_goes_on_twice),
		TEST(four_processors_go_on),
		TEST(memory_above_the_hole_comes_back_and_is_stored_sparsely),
		TEST(huge_pages_go_on),
		TEST(memory_in_a_backing_file_goes_on),
		TEST(a_backing_file_holds_nothing_of_later),
		TEST(two_processors_go_on_on_demand),
		TEST(huge_pages_go_on_on_demand),
		TEST(memory_above_the_hole_goes_on_on_demand),
		TEST(a_used_backing_file_is_restored_on_demand),
		TEST(entropy_is_served_after_a_restore),
		TEST(clones_have_disks_of_their_own),
		TEST(a_disk_of_another_size_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
