/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM: where it lies, and that nobody who holds its files can cut it short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/memory/vm_memory.h"
#include "vmm/core/platform/memory_map.h"

static void memory_is_split_around_the_hole(void **state)
{
	static const struct {
		uint64_t size;
		unsigned regions;
		uint64_t low, high;
	} cases[] = {
		{MAP_MIB(16), 1, MAP_MIB(16), 0},
		{MAP_GIB(3), 1, MAP_GIB(3), 0},
		{MAP_GIB(3) + MAP_MIB(2), 2, MAP_GIB(3), MAP_MIB(2)},
		{MAP_GIB(1024), 2, MAP_GIB(3), MAP_GIB(1021)},
	};
	uint64_t gpa[2], bytes[2];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(vm_memory_layout(cases[i].size, gpa, bytes), cases[i].regions);
		assert_true(gpa[0] == 0 && bytes[0] == cases[i].low);
		if (cases[i].regions == 2)
			assert_true(gpa[1] == MAP_GIB(4) && bytes[1] == cases[i].high);
	}
}

static void memory_files_can_neither_shrink_nor_grow_nor_be_unsealed(void **state)
{
	struct vm_memory_options options = {.size_bytes = MAP_GIB(3) + MAP_MIB(4), .file_fd = -1};
	struct guest_memory memory;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(vm_memory_create(&memory, &options, &err), 0);
	assert_int_equal(memory.region_count, 2);
	for (unsigned i = 0; i < memory.region_count; i++) {
		int fd = memory.regions[i].fd;

		assert_int_equal(ftruncate(fd, 0), -1);
		assert_int_equal(ftruncate(fd, (off_t)memory.regions[i].size_bytes + 4096), -1);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	/* An access must lie in one region: the hole is nobody's. */
	assert_null(guest_memory_translate(&memory, MAP_GIB(3) - 1, 2));
	assert_null(guest_memory_translate(&memory, MAP_GIB(3), 1));
	assert_non_null(guest_memory_translate(&memory, MAP_GIB(4), MAP_MIB(4)));
	assert_null(guest_memory_translate(&memory, MAP_GIB(4), MAP_MIB(4) + 1));
	assert_null(guest_memory_translate(&memory, UINT64_MAX, 2));
	guest_memory_destroy(&memory);
}

static void sizes_that_are_no_multiple_of_2_mib_are_refused(void **state)
{
	static const uint64_t bad[] = {0, 4096, MAP_MIB(3), MAP_GIB(4) + 1};
	struct guest_memory memory;
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vm_memory_options options = {.size_bytes = bad[i], .file_fd = -1};

		assert_int_equal(vm_memory_create(&memory, &options, &err), -EINVAL);
		assert_int_equal(memory.region_count, 0);
	}
}

static void a_backing_file_that_is_too_short_is_refused(void **state)
{
	cleanup_fd int fd = memfd_create("file", MFD_CLOEXEC);
	struct vm_memory_options options = {.size_bytes = MAP_MIB(16), .file_fd = fd};
	struct guest_memory memory;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)MAP_MIB(16) - 1), 0);
	assert_int_equal(vm_memory_create(&memory, &options, &err), -EINVAL);
	assert_non_null(strstr(err.message, "memory region 0"));
	assert_int_equal(memory.region_count, 0);
}

static void the_parts_of_a_backing_file_do_not_overlap(void **state)
{
	cleanup_fd int fd = memfd_create("file", MFD_CLOEXEC);
	struct vm_memory_options options = {.size_bytes = MAP_GIB(3) + MAP_MIB(2), .file_fd = fd};
	struct guest_memory memory;
	struct error err = ERROR_INIT;
	char byte = 0;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)options.size_bytes), 0);
	assert_int_equal(vm_memory_create(&memory, &options, &err), 0);
	memory.regions[0].hva[0] = 'a';
	memory.regions[1].hva[0] = 'b';
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'a');
	assert_int_equal(pread(fd, &byte, 1, (off_t)MAP_GIB(3)), 1);
	assert_int_equal(byte, 'b');
	guest_memory_destroy(&memory);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* borrowed */
}

/* Every page is made; or none, when the VM ends meanwhile. */
static void prefaulting_can_be_given_up(void **state)
{
	struct vm_memory_options options = {.size_bytes = MAP_MIB(4), .file_fd = -1};
	_Atomic bool cancelled = true;
	struct guest_memory memory;
	struct error err = ERROR_INIT;
	struct stat status;

	(void)state;
	assert_int_equal(vm_memory_create(&memory, &options, &err), 0);
	assert_int_equal(vm_memory_prefault(&memory, &cancelled, &err), -ECANCELED);
	assert_int_equal(fstat(memory.regions[0].fd, &status), 0);
	assert_int_equal(status.st_blocks, 0);
	cancelled = false;
	assert_int_equal(vm_memory_prefault(&memory, &cancelled, &err), 0);
	assert_int_equal(fstat(memory.regions[0].fd, &status), 0);
	assert_true((uint64_t)status.st_blocks * 512 >= MAP_MIB(4));
	guest_memory_destroy(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_split_around_the_hole),
		cmocka_unit_test(memory_files_can_neither_shrink_nor_grow_nor_be_unsealed),
		cmocka_unit_test(sizes_that_are_no_multiple_of_2_mib_are_refused),
		cmocka_unit_test(a_backing_file_that_is_too_short_is_refused),
		cmocka_unit_test(prefaulting_can_be_given_up),
		cmocka_unit_test(the_parts_of_a_backing_file_do_not_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
