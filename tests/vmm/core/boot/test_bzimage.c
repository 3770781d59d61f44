/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/x86_64/bzimage.h"

#include <errno.h>

#include "tests/vmm/core/boot/boot_fixture.h"
#include "vmm/core/platform/memory_map.h"

#define RAM_BYTES MIB(64)

static int load_bytes(const void *bytes, size_t length_bytes, struct guest_memory *memory,
		      struct bzimage *image, struct error *err)
{
	struct boot_file file;
	int fd = fixture_file_new(bytes, length_bytes);
	int result = boot_file_init(&file, fd, "/srv/vmlinuz", err);

	if (result == 0)
		result = bzimage_load(&file, memory, image, err);
	close(fd);
	return result;
}

static void expect_refused(const struct fixture_bzimage *fixture, int code, const char *text)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct error err = ERROR_INIT;
	struct bzimage image = {0};

	assert_int_equal(load_bytes(fixture->bytes, BZ_FILE_SIZE, &memory, &image, &err), code);
	if (!strstr(err.message, text))
		fail_msg("\"%s\" does not say \"%s\"", err.message, text);
	fixture_memory_free(&memory);
}

static void the_payload_goes_to_the_preferred_address(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_bzimage fixture = fixture_bzimage_new();
	struct bzimage image = {0};

	(void)state;
	assert_int_equal(load_bytes(fixture.bytes, BZ_FILE_SIZE, &memory, &image, NULL), 0);
	assert_int_equal(image.load_gpa, 0x1000000);
	assert_int_equal(image.entry_gpa, 0x1000200);
	assert_int_equal(image.end_gpa, 0x1800000);
	assert_int_equal(image.initramfs_end_gpa, 0x80000000);
	assert_memory_equal(memory.regions[0].hva + 0x1000000, fixture.bytes + 1024,
			    BZ_PAYLOAD_SIZE);
	fixture_memory_free(&memory);
}

static void setup_sects_0_means_4(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_bzimage fixture = fixture_bzimage_new();
	struct bzimage image = {0};

	(void)state;
	fixture_bzimage_header(&fixture)->setup_sects = 0;
	fixture_bzimage_header(&fixture)->syssize = 16;
	fixture.bytes[5 * 512] = 0x77;
	assert_int_equal(load_bytes(fixture.bytes, BZ_FILE_SIZE, &memory, &image, NULL), 0);
	assert_int_equal(memory.regions[0].hva[0x1000000], 0x77);
	fixture_memory_free(&memory);
}

static void an_old_protocol_is_named(void **state)
{
	struct fixture_bzimage fixture = fixture_bzimage_new();

	(void)state;
	fixture_bzimage_header(&fixture)->version = 0x020b;
	expect_refused(&fixture, -EINVAL, "boot protocol 2.11");
}

static void a_32_bit_kernel_is_refused(void **state)
{
	struct fixture_bzimage fixture = fixture_bzimage_new();

	(void)state;
	fixture_bzimage_header(&fixture)->xloadflags = 0;
	expect_refused(&fixture, -EINVAL, "no 64-bit entry point");
}

static void too_little_memory_is_reported_with_the_amount(void **state)
{
	struct fixture_bzimage fixture = fixture_bzimage_new();

	(void)state;
	fixture_bzimage_header(&fixture)->init_size = 49U << 20;
	expect_refused(&fixture, -ENOMEM, "give it more memory");
	fixture_bzimage_header(&fixture)->init_size = UINT32_MAX;
	expect_refused(&fixture, -ENOMEM, "give it more memory");
	fixture_bzimage_header(&fixture)->pref_address = UINT64_MAX - 4096;
	expect_refused(&fixture, -ENOMEM, "give it more memory");
}

static void a_bad_alignment_is_refused(void **state)
{
	struct fixture_bzimage fixture = fixture_bzimage_new();

	(void)state;
	fixture_bzimage_header(&fixture)->kernel_alignment = 0;
	expect_refused(&fixture, -EINVAL, "alignment");
	fixture_bzimage_header(&fixture)->kernel_alignment = 0x300000;
	expect_refused(&fixture, -EINVAL, "alignment");
}

static void a_preferred_address_over_the_boot_data_is_not_used(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_bzimage fixture = fixture_bzimage_new();
	struct bzimage image = {0};

	(void)state;
	fixture_bzimage_header(&fixture)->pref_address = 0x8000;
	assert_int_equal(load_bytes(fixture.bytes, BZ_FILE_SIZE, &memory, &image, NULL), 0);
	assert_int_equal(image.load_gpa, 0x200000);
	fixture_memory_free(&memory);
}

static void every_shorter_file_is_truncated(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_bzimage fixture = fixture_bzimage_new();
	struct bzimage image = {0};

	(void)state;
	for (size_t bytes = 1; bytes < BZ_FILE_SIZE; bytes += 37) {
		struct error err = ERROR_INIT;

		assert_int_equal(load_bytes(fixture.bytes, bytes, &memory, &image, &err), -EINVAL);
		assert_non_null(strstr(err.message, "truncated"));
	}
	fixture_memory_free(&memory);
}

static void a_command_line_that_the_kernel_would_cut_is_refused(void **state)
{
	struct bzimage image = {.header = {.cmdline_size = 4}};
	struct boot_file file = {.path = "/srv/vmlinuz"};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(bzimage_check_cmdline(&file, &image, "abcd", &err), 0);
	assert_int_equal(bzimage_check_cmdline(&file, &image, "abcde", &err), -EINVAL);
	assert_non_null(strstr(err.message, "at most 4"));
}

static void the_zero_page_has_header_memory_map_and_pointers(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_bzimage fixture = fixture_bzimage_new();
	struct bzimage_boot_data data = {
		.cmdline_gpa = 0x20000,
		.rsdp_gpa = 0xe0000,
		.initramfs_gpa = 0x3000000,
		.initramfs_bytes = 77,
	};
	const struct boot_params *page = (const void *)(memory.regions[0].hva + MAP_BOOT_ZERO_PAGE);
	struct bzimage image = {0};

	(void)state;
	assert_int_equal(load_bytes(fixture.bytes, BZ_FILE_SIZE, &memory, &image, NULL), 0);
	assert_int_equal(bzimage_write_zero_page(&image, &data, &memory, NULL), 0);
	assert_memory_equal(&page->hdr.header, "HdrS", 4);
	assert_int_equal(page->hdr.type_of_loader, 0xff);
	assert_int_equal(page->hdr.cmd_line_ptr, 0x20000);
	assert_int_equal(page->hdr.ramdisk_image, 0x3000000);
	assert_int_equal(page->hdr.ramdisk_size, 77);
	assert_int_equal(page->hdr.setup_data, 0);
	assert_int_equal(page->acpi_rsdp_addr, 0xe0000);
	assert_int_equal(page->e820_entries, 4);
	assert_int_equal(page->e820_table[2].addr, 0x100000);
	assert_int_equal(page->e820_table[2].size, RAM_BYTES - 0x100000);
	assert_int_equal(page->e820_table[2].type, 1);
	assert_int_equal(page->sentinel, 0);
	fixture_memory_free(&memory);
}

static void bytes_of_the_file_behind_its_header_stay_out_of_the_zero_page(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_bzimage fixture = fixture_bzimage_new();
	struct bzimage image = {0};

	(void)state;
	fixture_bzimage_header(&fixture)->jump = 0x3aeb; /* ends behind cmdline_size */
	assert_int_equal(load_bytes(fixture.bytes, BZ_FILE_SIZE, &memory, &image, NULL), 0);
	assert_int_equal(image.header.cmdline_size, 2047);
	assert_int_equal(image.header.pref_address, 0);
	assert_int_equal(image.header.init_size, 0);
	fixture_memory_free(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_payload_goes_to_the_preferred_address),
		cmocka_unit_test(setup_sects_0_means_4),
		cmocka_unit_test(an_old_protocol_is_named),
		cmocka_unit_test(a_32_bit_kernel_is_refused),
		cmocka_unit_test(too_little_memory_is_reported_with_the_amount),
		cmocka_unit_test(a_bad_alignment_is_refused),
		cmocka_unit_test(a_preferred_address_over_the_boot_data_is_not_used),
		cmocka_unit_test(every_shorter_file_is_truncated),
		cmocka_unit_test(a_command_line_that_the_kernel_would_cut_is_refused),
		cmocka_unit_test(the_zero_page_has_header_memory_map_and_pointers),
		cmocka_unit_test(bytes_of_the_file_behind_its_header_stay_out_of_the_zero_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
