/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/kernel_image.h"

#include <errno.h>

#include "tests/vmm/core/boot/boot_fixture.h"

/* Detect a file that begins with head and goes on with zeros. */
static int detect(const void *head, size_t head_bytes, size_t size_bytes,
		  enum kernel_image_kind *kind, struct error *err)
{
	uint8_t bytes[1024] = {0};
	struct boot_file file;
	int fd, result;

	memcpy(bytes, head, head_bytes);
	fd = fixture_file_new(bytes, size_bytes);
	result = boot_file_init(&file, fd, "/srv/image", err);
	if (result == 0)
		result = kernel_image_detect(&file, kind, err);
	close(fd);
	return result;
}

static void expect_refused(const void *head, size_t head_bytes, size_t size_bytes, const char *text)
{
	struct error err = ERROR_INIT;
	enum kernel_image_kind kind;

	assert_int_equal(detect(head, head_bytes, size_bytes, &kind, &err), -EINVAL);
	assert_non_null(strstr(err.message, "/srv/image"));
	if (!strstr(err.message, text))
		fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

static void an_elf_file_is_recognised(void **state)
{
	enum kernel_image_kind kind = KERNEL_IMAGE_BZIMAGE;

	(void)state;
	assert_int_equal(detect(ELFMAG, SELFMAG, 4, &kind, NULL), 0);
	assert_int_equal(kind, KERNEL_IMAGE_ELF);
}

static void a_bzimage_is_recognised_with_and_without_efi_stub(void **state)
{
	struct fixture_bzimage image = fixture_bzimage_new();
	enum kernel_image_kind kind = KERNEL_IMAGE_ELF;

	(void)state;
	assert_int_equal(detect(image.bytes, 1024, 1024, &kind, NULL), 0);
	assert_int_equal(kind, KERNEL_IMAGE_BZIMAGE);
	memcpy(image.bytes, "MZ", 2);
	kind = KERNEL_IMAGE_ELF;
	assert_int_equal(detect(image.bytes, 1024, 1024, &kind, NULL), 0);
	assert_int_equal(kind, KERNEL_IMAGE_BZIMAGE);
}

static void a_compressed_vmlinux_is_named_with_its_remedy(void **state)
{
	(void)state;
	expect_refused("\x1f\x8b\x08", 3, 600, "gunzip");
	expect_refused("\xfd\x37zXZ", 5, 600, "unxz");
	expect_refused("\x28\xb5\x2f\xfd", 4, 600, "unzstd");
}

static void an_efi_program_without_linux_header_is_named(void **state)
{
	(void)state;
	expect_refused("MZ", 2, 1024, "EFI program");
}

static void an_empty_file_is_named(void **state)
{
	(void)state;
	expect_refused("", 0, 0, "is empty");
}

static void anything_else_is_not_a_kernel(void **state)
{
	(void)state;
	expect_refused("hello", 5, 5, "not a kernel");
	expect_refused("\0", 1, 1, "not a kernel");
}

static void something_that_is_no_regular_file_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	struct boot_file file;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(boot_file_init(&file, pipe_fds[0], "/srv/fifo", &err), -EINVAL);
	assert_non_null(strstr(err.message, "not a regular file"));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_elf_file_is_recognised),
		cmocka_unit_test(a_bzimage_is_recognised_with_and_without_efi_stub),
		cmocka_unit_test(a_compressed_vmlinux_is_named_with_its_remedy),
		cmocka_unit_test(an_efi_program_without_linux_header_is_named),
		cmocka_unit_test(an_empty_file_is_named),
		cmocka_unit_test(anything_else_is_not_a_kernel),
		cmocka_unit_test(something_that_is_no_regular_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
