/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/x86_64/bzimage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "vmm/core/boot/memory_layout.h"
#include "vmm/core/platform/memory_map.h"

#define SECTOR_BYTES		512U
#define HEADER_OFFSET		offsetof(struct boot_params, hdr)
#define HEADER_JUMP_TARGET	0x202U /* the header ends at this plus the second byte of `jump` */
#define VERSION_XLOADFLAGS	0x020c
#define DEFAULT_SETUP_SECTORS	4U
#define DEFAULT_CMDLINE_BYTES	255U
#define DEFAULT_INITRD_ADDR_MAX 0x37ffffffU
#define ENTRY_64_OFFSET		0x200U
#define LOADER_UNDEFINED	0xff
#define VIDEO_MODE_NORMAL	0xffff
#define MAX_ALIGNMENT		MAP_GIB(1)

static int read_header(const struct boot_file *file, struct setup_header *header, struct error *err)
{
	uint8_t jump[2];
	size_t bytes;
	int result = boot_file_read(file, HEADER_OFFSET + offsetof(struct setup_header, jump), jump,
				    sizeof(jump), err);

	if (result < 0)
		return result;
	/* An older header is shorter, a newer one longer than what we know. */
	bytes = HEADER_JUMP_TARGET + jump[1] - HEADER_OFFSET;
	if (bytes > sizeof(*header))
		bytes = sizeof(*header);
	memset(header, 0, sizeof(*header));
	return boot_file_read(file, HEADER_OFFSET, header, bytes, err);
}

static int check_header(const struct boot_file *file, const struct setup_header *header,
			struct error *err)
{
	uint64_t alignment = header->kernel_alignment;

	if (header->version < VERSION_XLOADFLAGS)
		return error_set(
			err, -EINVAL,
			"%s is too old: it speaks boot protocol %u.%u, and 2.12 (Linux 3.8) "
			"is needed",
			file->path, header->version >> 8, header->version & 0xffU);
	if (!(header->xloadflags & XLF_KERNEL_64) || !(header->loadflags & LOADED_HIGH))
		return error_set(err, -EINVAL,
				 "%s has no 64-bit entry point: give a kernel built for x86_64",
				 file->path);
	if (header->relocatable_kernel &&
	    (alignment == 0 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) != 0))
		return error_set(err, -EINVAL, "%s: malformed header: kernel alignment 0x%" PRIx64,
				 file->path, alignment);
	return 0;
}

static bool fits(uint64_t gpa, uint64_t size_bytes, uint64_t low_end)
{
	return gpa >= MAP_HIGH_RAM && gpa <= low_end && size_bytes <= low_end - gpa;
}

/*
 * Prefer the address the kernel was built to run at, where it need not move itself; otherwise as
 * low as its alignment allows. The kernel moves up to pref_address by itself when it is loaded
 * below, so that it needs the room there in any case.
 */
static int choose_place(const struct boot_file *file, const struct setup_header *header,
			uint64_t room_bytes, uint64_t low_end, uint64_t *load_gpa,
			struct error *err)
{
	uint64_t preferred = header->pref_address;
	uint64_t alignment = header->kernel_alignment;

	*load_gpa = preferred;
	if (fits(preferred, room_bytes, low_end))
		return 0;
	if (header->relocatable_kernel && preferred < MAP_HIGH_RAM) {
		*load_gpa = (MAP_HIGH_RAM + alignment - 1) & ~(alignment - 1);
		if (fits(*load_gpa, room_bytes, low_end))
			return 0;
	}
	return error_set(err, -ENOMEM,
			 "%s needs %" PRIu64 " MiB of memory at %" PRIu64
			 " MiB to unpack itself, but the VM has only %" PRIu64
			 " MiB there: give it more memory",
			 file->path, (room_bytes >> 20) + 1, *load_gpa >> 20, low_end >> 20);
}

/* The protected-mode part begins behind the setup sectors and must all be there. */
static int measure_payload(const struct boot_file *file, const struct setup_header *header,
			   uint64_t *offset, uint64_t *size_bytes, struct error *err)
{
	unsigned sectors = header->setup_sects ? header->setup_sects : DEFAULT_SETUP_SECTORS;
	uint64_t announced = (uint64_t)header->syssize * 16;

	*offset = (uint64_t)(sectors + 1) * SECTOR_BYTES;
	if (*offset >= file->size_bytes || announced > file->size_bytes - *offset)
		return error_set(err, -EINVAL,
				 "%s is truncated: it has %" PRIu64
				 " bytes, its header says %" PRIu64 "; copy the file again",
				 file->path, file->size_bytes, *offset + announced);
	*size_bytes = file->size_bytes - *offset;
	return 0;
}

int bzimage_load(const struct boot_file *file, const struct guest_memory *memory,
		 struct bzimage *image, struct error *err)
{
	const struct setup_header *header = &image->header;
	uint64_t offset = 0, size_bytes = 0, room_bytes;
	int result;

	*image = (struct bzimage){0};
	result = read_header(file, &image->header, err);
	if (result == 0)
		result = check_header(file, header, err);
	if (result == 0)
		result = measure_payload(file, header, &offset, &size_bytes, err);
	if (result < 0)
		return result;
	room_bytes = header->init_size > size_bytes ? header->init_size : size_bytes;
	result = choose_place(file, header, room_bytes, memory_layout_low_end(memory),
			      &image->load_gpa, err);
	if (result == 0)
		result = boot_file_load(file, offset, size_bytes, memory, image->load_gpa, err);
	image->entry_gpa = image->load_gpa + ENTRY_64_OFFSET;
	image->end_gpa = image->load_gpa + room_bytes;
	image->initramfs_end_gpa = (uint64_t)(header->initrd_addr_max ? header->initrd_addr_max
								      : DEFAULT_INITRD_ADDR_MAX) +
				   1;
	return result;
}

int bzimage_check_cmdline(const struct boot_file *file, const struct bzimage *image,
			  const char *cmdline, struct error *err)
{
	uint32_t limit = image->header.cmdline_size;

	if (limit == 0)
		limit = DEFAULT_CMDLINE_BYTES;
	if (strlen(cmdline) > limit)
		return error_set(
			err, -EINVAL,
			"the command line has %zu characters; the kernel %s takes at most %u",
			strlen(cmdline), file->path, limit);
	return 0;
}

static void fill_header(const struct bzimage *image, const struct bzimage_boot_data *data,
			struct setup_header *header)
{
	*header = image->header;
	header->type_of_loader = LOADER_UNDEFINED;
	header->vid_mode = VIDEO_MODE_NORMAL;
	header->code32_start = (uint32_t)image->load_gpa;
	header->cmd_line_ptr = (uint32_t)data->cmdline_gpa;
	header->ramdisk_image = (uint32_t)data->initramfs_gpa;
	header->ramdisk_size = (uint32_t)data->initramfs_bytes;
	header->setup_data = 0; /* a pointer: the file has no business to set it */
}

static void fill_memory_map(const struct guest_memory *memory, struct boot_params *zero_page)
{
	struct memory_range ranges[MEMORY_LAYOUT_MAX_RANGES];
	unsigned count = memory_layout_describe(memory, ranges);

	zero_page->e820_entries = (uint8_t)count;
	for (unsigned i = 0; i < count; i++)
		zero_page->e820_table[i] = (struct boot_e820_entry){
			.addr = ranges[i].gpa,
			.size = ranges[i].size_bytes,
			.type = ranges[i].type,
		};
}

int bzimage_write_zero_page(const struct bzimage *image, const struct bzimage_boot_data *data,
			    const struct guest_memory *memory, struct error *err)
{
	struct boot_params zero_page;

	_Static_assert(sizeof(zero_page) == GUEST_PAGE_SIZE, "the zero page is a page");
	memset(&zero_page, 0, sizeof(zero_page));
	fill_header(image, data, &zero_page.hdr);
	fill_memory_map(memory, &zero_page);
	zero_page.acpi_rsdp_addr = data->rsdp_gpa;
	if (guest_memory_write(memory, MAP_BOOT_ZERO_PAGE, &zero_page, sizeof(zero_page)) < 0)
		return error_set(err, -ENOMEM, "no RAM for the zero page at 0x%llx",
				 MAP_BOOT_ZERO_PAGE);
	return 0;
}
