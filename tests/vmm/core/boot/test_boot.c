/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/boot.h"

#include <errno.h>

#include "tests/vmm/core/boot/boot_fixture.h"
#include "vmm/core/platform/memory_map.h"

#define RAM_BYTES MIB(64)

struct boot_case {
	struct guest_memory memory;
	struct boot_request request;
	struct boot_entry entry;
	struct error err;
};

static struct boot_case case_new(const void *kernel, size_t kernel_bytes, const char *cmdline)
{
	return (struct boot_case){
		.memory = fixture_memory_new(RAM_BYTES),
		.request = {.kernel_fd = fixture_file_new(kernel, kernel_bytes),
			    .initramfs_fd = -1,
			    .kernel_path = "/srv/kernel",
			    .initramfs_path = "/srv/initramfs",
			    .cmdline = cmdline,
			    .cpus_boot = 1,
			    .cpus_max = 1},
	};
}

static int case_load(struct boot_case *test)
{
	return boot_load(&test->request, &test->memory, &test->entry, &test->err);
}

static void case_free(struct boot_case *test)
{
	close(test->request.kernel_fd);
	if (test->request.initramfs_fd >= 0)
		close(test->request.initramfs_fd);
	fixture_memory_free(&test->memory);
}

static uint64_t field(const struct boot_case *test, uint64_t gpa, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, test->memory.regions[0].hva + gpa, bytes);
	return value;
}

static void a_bzimage_boots_with_command_line_initramfs_and_acpi(void **state)
{
	struct fixture_bzimage image = fixture_bzimage_new();
	struct boot_case test = case_new(image.bytes, BZ_FILE_SIZE, "console=ttyS0");
	const struct boot_params *page =
		(const void *)(test.memory.regions[0].hva + MAP_BOOT_ZERO_PAGE);

	(void)state;
	test.request.initramfs_fd = fixture_file_new("cpio", 4);
	assert_int_equal(case_load(&test), 0);
	assert_int_equal(test.entry.protocol, BOOT_LINUX64);
	assert_int_equal(test.entry.rip, 0x1000200);
	assert_int_equal(test.entry.boot_data_gpa, MAP_BOOT_ZERO_PAGE);
	assert_string_equal(test.memory.regions[0].hva + page->hdr.cmd_line_ptr, "console=ttyS0");
	assert_int_equal(page->hdr.ramdisk_size, 4);
	assert_memory_equal(test.memory.regions[0].hva + page->hdr.ramdisk_image, "cpio", 4);
	assert_memory_equal(test.memory.regions[0].hva + page->acpi_rsdp_addr, "RSD PTR ", 8);
	assert_int_equal(field(&test, MAP_BOOT_PAGE_TABLES, 8), (MAP_BOOT_PAGE_TABLES + 4096) | 3);
	case_free(&test);
}

static void an_elf_kernel_gets_a_start_info(void **state)
{
	struct fixture_elf elf = fixture_elf_new();
	struct boot_case test = case_new(&elf, sizeof(elf), "test");
	uint64_t info = MAP_BOOT_START_INFO;

	(void)state;
	test.request.initramfs_fd = fixture_file_new("cpio", 4);
	assert_int_equal(case_load(&test), 0);
	assert_int_equal(test.entry.protocol, BOOT_PVH);
	assert_int_equal(test.entry.rip, PVH_ENTRY_GPA);
	assert_int_equal(test.entry.boot_data_gpa, info);
	assert_int_equal(field(&test, info, 4), 0x336ec578);
	assert_int_equal(field(&test, info + 4, 4), 1);
	assert_int_equal(field(&test, info + 12, 4), 1);
	assert_int_equal(field(&test, field(&test, info + 16, 8) + 8, 8), 4);
	assert_memory_equal(test.memory.regions[0].hva +
				    field(&test, field(&test, info + 16, 8), 8),
			    "cpio", 4);
	assert_string_equal(test.memory.regions[0].hva + field(&test, info + 24, 8), "test");
	assert_memory_equal(test.memory.regions[0].hva + field(&test, info + 32, 8), "RSD PTR ", 8);
	assert_int_equal(field(&test, info + 48, 4), 4);
	case_free(&test);
}

static void without_initramfs_there_is_no_module(void **state)
{
	struct fixture_elf elf = fixture_elf_new();
	struct boot_case test = case_new(&elf, sizeof(elf), "");

	(void)state;
	assert_int_equal(case_load(&test), 0);
	assert_int_equal(field(&test, MAP_BOOT_START_INFO + 12, 4), 0);
	assert_int_equal(field(&test, MAP_BOOT_START_INFO + 16, 8), 0);
	case_free(&test);
}

static void an_empty_initramfs_is_named(void **state)
{
	struct fixture_elf elf = fixture_elf_new();
	struct boot_case test = case_new(&elf, sizeof(elf), "");

	(void)state;
	test.request.initramfs_fd = fixture_file_new("", 0);
	assert_int_equal(case_load(&test), -EINVAL);
	assert_string_equal(test.err.message, "initramfs: /srv/initramfs is empty");
	case_free(&test);
}

static void a_file_that_is_no_kernel_is_named(void **state)
{
	struct boot_case test = case_new("#!/bin/sh", 9, "");

	(void)state;
	assert_int_equal(case_load(&test), -EINVAL);
	assert_string_equal(test.err.message, "kernel: /srv/kernel is a script, not a kernel");
	case_free(&test);
}

static void a_command_line_too_long_for_the_kernel_is_refused(void **state)
{
	struct fixture_bzimage image = fixture_bzimage_new();
	char cmdline[2049] = {0};
	struct boot_case test = case_new(image.bytes, BZ_FILE_SIZE, cmdline);

	(void)state;
	memset(cmdline, 'a', sizeof(cmdline));
	cmdline[2048] = '\0';
	assert_int_equal(case_load(&test), -EINVAL);
	assert_non_null(strstr(test.err.message, "2048 characters"));
	cmdline[2047] = '\0';
	assert_int_equal(case_load(&test), 0);
	case_free(&test);
}

static void memory_without_room_for_boot_data_is_refused(void **state)
{
	struct fixture_elf elf = fixture_elf_new();
	struct boot_case test = case_new(&elf, sizeof(elf), "");

	(void)state;
	test.memory.regions[0].size_bytes = MIB(1);
	assert_int_equal(case_load(&test), -EINVAL);
	test.memory.regions[0].size_bytes = RAM_BYTES;
	case_free(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bzimage_boots_with_command_line_initramfs_and_acpi),
		cmocka_unit_test(an_elf_kernel_gets_a_start_info),
		cmocka_unit_test(without_initramfs_there_is_no_module),
		cmocka_unit_test(an_empty_initramfs_is_named),
		cmocka_unit_test(a_file_that_is_no_kernel_is_named),
		cmocka_unit_test(a_command_line_too_long_for_the_kernel_is_refused),
		cmocka_unit_test(memory_without_room_for_boot_data_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
