/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/kernel_image.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Linux/x86 boot protocol, "The Real-Mode Kernel Header". */
#define BOOT_FLAG_OFFSET   0x1fe
#define HEADER_OFFSET	   0x202
#define HEADER_MAGIC	   "HdrS"
#define ARM64_MAGIC_OFFSET 0x38
#define HEAD_BYTES	   0x206

struct foreign_format {
	const char *magic;
	size_t offset, length;
	const char *advice; /* follows the path in the message */
};

static const struct foreign_format foreign_formats[] = {
	{"\x1f\x8b", 0, 2,
	 "is compressed with gzip: give a bzImage (vmlinuz), or unpack the vmlinux in it (gunzip)"},
	{"\xfd"
	 "7zXZ",
	 0, 5, "is compressed with xz: give a bzImage (vmlinuz), or unpack it (unxz)"},
	{"\x28\xb5\x2f\xfd", 0, 4,
	 "is compressed with zstd: give a bzImage (vmlinuz), or unpack it (unzstd)"},
	{"BZh", 0, 3, "is compressed with bzip2: give a bzImage (vmlinuz), or unpack it (bunzip2)"},
	{"\x02\x21\x4c\x18", 0, 4,
	 "is compressed with lz4: give a bzImage (vmlinuz), or unpack it (unlz4)"},
	{"ARM\x64", ARM64_MAGIC_OFFSET, 4, "is a kernel for arm64; this machine is x86_64"},
	{"MZ", 0, 2,
	 "is an EFI program (PE) without a Linux boot header: give the kernel itself (a bzImage or "
	 "an ELF vmlinux), not a boot loader or a unified kernel image"},
	{"070701", 0, 6, "is a cpio archive: is it the initramfs?"},
	{"QFI\xfb", 0, 4, "is a qcow2 disk image, not a kernel"},
	{"!<arch>\n", 0, 8, "is a package or archive: unpack the kernel from it"},
	{"#!", 0, 2, "is a script, not a kernel"},
};

static bool has_magic(const uint8_t *head, size_t head_bytes, size_t offset, const char *magic,
		      size_t length)
{
	return offset + length <= head_bytes && memcmp(head + offset, magic, length) == 0;
}

static int report_foreign(const struct boot_file *file, const uint8_t *head, size_t head_bytes,
			  struct error *err)
{
	for (size_t i = 0; i < sizeof(foreign_formats) / sizeof(foreign_formats[0]); i++) {
		const struct foreign_format *format = &foreign_formats[i];

		if (has_magic(head, head_bytes, format->offset, format->magic, format->length))
			return error_set(err, -EINVAL, "%s %s", file->path, format->advice);
	}
	return error_set(
		err, -EINVAL,
		"%s is not a kernel: give a Linux bzImage (vmlinuz) or an ELF vmlinux with "
		"a PVH entry point",
		file->path);
}

int kernel_image_detect(const struct boot_file *file, enum kernel_image_kind *kind,
			struct error *err)
{
	uint8_t head[HEAD_BYTES] = {0};
	size_t head_bytes = file->size_bytes < sizeof(head) ? file->size_bytes : sizeof(head);
	int result = boot_file_read(file, 0, head, head_bytes, err);

	if (result < 0)
		return result;
	if (has_magic(head, head_bytes, 0,
		      "\x7f"
		      "ELF",
		      4)) {
		*kind = KERNEL_IMAGE_ELF;
		return 0;
	}
	if (has_magic(head, head_bytes, HEADER_OFFSET, HEADER_MAGIC, 4) &&
	    has_magic(head, head_bytes, BOOT_FLAG_OFFSET, "\x55\xaa", 2)) {
		*kind = KERNEL_IMAGE_BZIMAGE;
		return 0;
	}
	return report_foreign(file, head, head_bytes, err);
}
