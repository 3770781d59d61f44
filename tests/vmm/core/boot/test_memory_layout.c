/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/memory_layout.h"

#include <errno.h>

#include "tests/vmm/core/boot/boot_fixture.h"
#include "vmm/core/platform/memory_map.h"

static int place(uint64_t ram_bytes, size_t file_bytes, uint64_t kernel_end, uint64_t limit,
		 uint64_t *gpa, struct error *err)
{
	struct guest_memory memory = fixture_memory_new(ram_bytes);
	struct boot_file file;
	int fd = memfd_create("initramfs", MFD_CLOEXEC);
	int result;

	assert_int_equal(ftruncate(fd, (off_t)file_bytes), 0);
	assert_int_equal(boot_file_init(&file, fd, "/srv/initrd", NULL), 0);
	result = memory_layout_load_initramfs(&file, &memory, kernel_end, limit, gpa, err);
	close(fd);
	fixture_memory_free(&memory);
	return result;
}

static void the_map_leaves_out_hole_and_firmware_areas(void **state)
{
	struct guest_memory memory = {
		.region_count = 2,
		.regions = {{.gpa = 0, .size_bytes = MAP_HOLE_START},
			    {.gpa = MAP_HOLE_END, .size_bytes = MAP_GIB(1)}},
	};
	struct memory_range ranges[MEMORY_LAYOUT_MAX_RANGES];

	(void)state;
	assert_int_equal(memory_layout_describe(&memory, ranges), 5);
	assert_int_equal(ranges[0].size_bytes, MAP_EBDA_START);
	assert_int_equal(ranges[1].gpa, MAP_ACPI_START);
	assert_int_equal(ranges[1].type, MEMORY_RANGE_RESERVED);
	assert_int_equal(ranges[2].gpa + ranges[2].size_bytes, MAP_HOLE_START);
	assert_int_equal(ranges[3].gpa, MAP_ECAM_START);
	assert_int_equal(ranges[3].type, MEMORY_RANGE_RESERVED);
	assert_int_equal(ranges[4].gpa, MAP_HOLE_END);
	assert_int_equal(ranges[4].size_bytes, MAP_GIB(1));
	assert_int_equal(ranges[4].type, MEMORY_RANGE_RAM);
}

static void memory_that_does_not_begin_at_0_is_refused(void **state)
{
	struct guest_memory memory = {.region_count = 1,
				      .regions = {{.gpa = MAP_HOLE_END, .size_bytes = MIB(64)}}};

	(void)state;
	assert_int_equal(memory_layout_check(&memory, NULL), -EINVAL);
	memory.region_count = 0;
	assert_int_equal(memory_layout_check(&memory, NULL), -EINVAL);
	memory = (struct guest_memory){.region_count = 1, .regions = {{.size_bytes = MIB(1)}}};
	assert_int_equal(memory_layout_check(&memory, NULL), -EINVAL);
}

static void the_initramfs_goes_to_the_end_of_ram(void **state)
{
	uint64_t gpa = 0;

	(void)state;
	assert_int_equal(place(MIB(64), 5000, MIB(16), MAP_HOLE_START, &gpa, NULL), 0);
	assert_int_equal(gpa, MIB(64) - 8192);
}

static void the_initramfs_ends_below_the_limit_of_the_kernel(void **state)
{
	uint64_t gpa = 0;

	(void)state;
	assert_int_equal(place(MIB(64), 4096, MIB(16), MIB(32), &gpa, NULL), 0);
	assert_int_equal(gpa, MIB(32) - 4096);
}

static void an_initramfs_that_would_touch_the_kernel_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	uint64_t gpa = 0;

	(void)state;
	assert_int_equal(place(MIB(64), MIB(48), MIB(16), MAP_HOLE_START, &gpa, &err), 0);
	assert_int_equal(place(MIB(64), MIB(48) + 1, MIB(16), MAP_HOLE_START, &gpa, &err), -ENOMEM);
	assert_non_null(strstr(err.message, "give the VM more memory"));
	assert_int_equal(place(MIB(64), MIB(65), MIB(16), MAP_HOLE_START, &gpa, &err), -ENOMEM);
	assert_int_equal(place(MIB(64), 4096, MIB(16), 1, &gpa, &err), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_map_leaves_out_hole_and_firmware_areas),
		cmocka_unit_test(memory_that_does_not_begin_at_0_is_refused),
		cmocka_unit_test(the_initramfs_goes_to_the_end_of_ram),
		cmocka_unit_test(the_initramfs_ends_below_the_limit_of_the_kernel),
		cmocka_unit_test(an_initramfs_that_would_touch_the_kernel_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
