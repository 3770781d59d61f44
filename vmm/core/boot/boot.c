/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/boot.h"

#include <errno.h>
#include <string.h>

#include "vmm/core/boot/acpi_tables.h"
#include "vmm/core/boot/boot_file.h"
#include "vmm/core/boot/elf_image.h"
#include "vmm/core/boot/kernel_image.h"
#include "vmm/core/boot/memory_layout.h"
#include "vmm/core/boot/x86_64/bzimage.h"
#include "vmm/core/boot/x86_64/pvh_start_info.h"
#include "vmm/core/boot/x86_64/vcpu_entry.h"
#include "vmm/core/platform/memory_map.h"

#define MAX_CMDLINE_BYTES MAP_KIB(64) /* the room at MAP_BOOT_CMDLINE; kernels take less */

/* Where the parts that both protocols know ended up. */
struct loaded_parts {
	uint64_t rsdp_gpa;
	uint64_t initramfs_gpa, initramfs_bytes;
};

static int write_cmdline(const char *cmdline, const struct guest_memory *memory, struct error *err)
{
	size_t bytes = strlen(cmdline) + 1;

	if (bytes > MAX_CMDLINE_BYTES)
		return error_set(err, -EINVAL, "the command line has %zu characters: too long",
				 bytes - 1);
	if (guest_memory_write(memory, MAP_BOOT_CMDLINE, cmdline, bytes) < 0)
		return error_set(err, -ENOMEM, "no RAM for the command line at 0x%llx",
				 MAP_BOOT_CMDLINE);
	return 0;
}

static int load_initramfs(const struct boot_request *request, const struct guest_memory *memory,
			  uint64_t kernel_end_gpa, uint64_t limit_gpa, struct loaded_parts *parts,
			  struct error *err)
{
	struct boot_file file;
	int result;

	if (request->initramfs_fd < 0)
		return 0;
	result = boot_file_init(&file, request->initramfs_fd, request->initramfs_path, err);
	if (result == 0)
		result = memory_layout_load_initramfs(&file, memory, kernel_end_gpa, limit_gpa,
						      &parts->initramfs_gpa, err);
	if (result == 0)
		parts->initramfs_bytes = file.size_bytes;
	else
		error_prefix(err, "initramfs");
	return result;
}

/* Everything but the kernel itself and the structure that only its protocol knows. */
static int load_parts(const struct boot_request *request, const struct guest_memory *memory,
		      uint64_t kernel_end_gpa, uint64_t limit_gpa, struct loaded_parts *parts,
		      struct error *err)
{
	int result = load_initramfs(request, memory, kernel_end_gpa, limit_gpa, parts, err);

	if (result == 0)
		result = write_cmdline(request->cmdline, memory, err);
	if (result == 0)
		result = acpi_tables_write(memory, request->cpus_boot, request->cpus_max,
					   &parts->rsdp_gpa, err);
	return result;
}

static int load_bzimage(const struct boot_file *kernel, const struct boot_request *request,
			const struct guest_memory *memory, struct boot_entry *entry,
			struct error *err)
{
	struct loaded_parts parts = {0};
	struct bzimage_boot_data data;
	struct bzimage image;
	int result = bzimage_load(kernel, memory, &image, err);

	if (result == 0)
		result = bzimage_check_cmdline(kernel, &image, request->cmdline, err);
	if (result == 0)
		result = load_parts(request, memory, image.end_gpa, image.initramfs_end_gpa, &parts,
				    err);
	if (result < 0)
		return result;
	data = (struct bzimage_boot_data){
		.cmdline_gpa = MAP_BOOT_CMDLINE,
		.rsdp_gpa = parts.rsdp_gpa,
		.initramfs_gpa = parts.initramfs_gpa,
		.initramfs_bytes = parts.initramfs_bytes,
	};
	*entry = (struct boot_entry){BOOT_LINUX64, image.entry_gpa, MAP_BOOT_ZERO_PAGE};
	return bzimage_write_zero_page(&image, &data, memory, err);
}

static int load_elf(const struct boot_file *kernel, const struct boot_request *request,
		    const struct guest_memory *memory, struct boot_entry *entry, struct error *err)
{
	struct loaded_parts parts = {0};
	struct pvh_boot_data data;
	struct elf_image image;
	int result = elf_image_load(kernel, memory, &image, err);

	if (result == 0)
		result = load_parts(request, memory, image.end_gpa, MAP_HOLE_START, &parts, err);
	if (result < 0)
		return result;
	data = (struct pvh_boot_data){
		.cmdline_gpa = MAP_BOOT_CMDLINE,
		.rsdp_gpa = parts.rsdp_gpa,
		.initramfs_gpa = parts.initramfs_gpa,
		.initramfs_bytes = parts.initramfs_bytes,
	};
	*entry = (struct boot_entry){BOOT_PVH, image.entry_gpa, MAP_BOOT_START_INFO};
	return pvh_write_start_info(&data, memory, err);
}

int boot_load(const struct boot_request *request, const struct guest_memory *memory,
	      struct boot_entry *entry, struct error *err)
{
	enum kernel_image_kind kind = KERNEL_IMAGE_BZIMAGE;
	struct boot_file kernel;
	int result = memory_layout_check(memory, err);

	if (result < 0)
		return result;
	result = boot_file_init(&kernel, request->kernel_fd, request->kernel_path, err);
	if (result == 0)
		result = kernel_image_detect(&kernel, &kind, err);
	if (result < 0) {
		error_prefix(err, "kernel");
		return result;
	}
	if (kind == KERNEL_IMAGE_BZIMAGE)
		result = load_bzimage(&kernel, request, memory, entry, err);
	else
		result = load_elf(&kernel, request, memory, entry, err);
	if (result == 0)
		result = boot_write_vcpu_tables(entry->protocol, memory, err);
	return result;
}
