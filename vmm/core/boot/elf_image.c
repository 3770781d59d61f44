/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "vmm/core/boot/elf_header.h"
#include "vmm/core/boot/memory_layout.h"
#include "vmm/core/platform/memory_map.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define NOTE_HEADER_BYTES	 12
#define MAX_NOTES_BYTES		 MAP_KIB(64)

/* A place in a block of notes. */
struct note_cursor {
	const uint8_t *at;
	size_t left_bytes;
	size_t alignment; /* of names and descriptors: 4, or 8 in segments that say so */
};

struct note {
	uint32_t type;
	const uint8_t *name, *descriptor;
	size_t name_bytes, descriptor_bytes;
};

/* Take length_bytes and their padding. The padding of the last note may be missing. */
static const uint8_t *note_cursor_take(struct note_cursor *cursor, size_t length_bytes)
{
	const uint8_t *taken = cursor->at;
	size_t padded;

	if (length_bytes > cursor->left_bytes)
		return NULL;
	padded = (length_bytes + cursor->alignment - 1) & ~(cursor->alignment - 1);
	if (padded > cursor->left_bytes)
		padded = cursor->left_bytes;
	cursor->at += padded;
	cursor->left_bytes -= padded;
	return taken;
}

static bool note_cursor_next(struct note_cursor *cursor, struct note *note)
{
	uint32_t header[3]; /* name size, descriptor size, type */

	if (cursor->left_bytes < NOTE_HEADER_BYTES)
		return false;
	memcpy(header, cursor->at, NOTE_HEADER_BYTES);
	cursor->at += NOTE_HEADER_BYTES;
	cursor->left_bytes -= NOTE_HEADER_BYTES;
	note->name_bytes = header[0];
	note->descriptor_bytes = header[1];
	note->type = header[2];
	note->name = note_cursor_take(cursor, note->name_bytes);
	if (!note->name)
		return false;
	note->descriptor = note_cursor_take(cursor, note->descriptor_bytes);
	return note->descriptor != NULL;
}

static bool note_is_pvh_entry(const struct note *note)
{
	return note->type == XEN_ELFNOTE_PHYS32_ENTRY && note->name_bytes == 4 &&
	       memcmp(note->name, "Xen", 4) == 0 && note->descriptor_bytes >= 4;
}

/* 1: found, 0: not in this segment, negative: cannot be read. */
static int find_entry_in_notes(const struct boot_file *file, const struct elf_segment *segment,
			       uint32_t *entry_gpa, struct error *err)
{
	cleanup_free uint8_t *notes = NULL;
	struct note_cursor cursor;
	struct note note;
	int result;

	if (segment->file_bytes == 0 || segment->file_bytes > MAX_NOTES_BYTES)
		return 0;
	notes = malloc(segment->file_bytes);
	if (!notes)
		return error_set_errno(err, -ENOMEM, "%s", file->path);
	result = boot_file_read(file, segment->offset, notes, segment->file_bytes, err);
	if (result < 0)
		return result;
	cursor =
		(struct note_cursor){notes, segment->file_bytes, segment->alignment == 8 ? 8U : 4U};
	while (note_cursor_next(&cursor, &note)) {
		if (!note_is_pvh_entry(&note))
			continue;
		memcpy(entry_gpa, note.descriptor, sizeof(*entry_gpa));
		return 1;
	}
	return 0;
}

static int find_entry(const struct boot_file *file, const struct elf_header *header,
		      uint32_t *entry_gpa, struct error *err)
{
	for (unsigned i = 0; i < header->segment_count; i++) {
		int result;

		if (header->segments[i].type != PT_NOTE)
			continue;
		result = find_entry_in_notes(file, &header->segments[i], entry_gpa, err);
		if (result != 0)
			return result < 0 ? result : 0;
	}
	return error_set(err, -EINVAL,
			 "%s is an ELF file without a PVH entry point (note "
			 "XEN_ELFNOTE_PHYS32_ENTRY): give a kernel built with CONFIG_PVH=y, or its "
			 "bzImage (vmlinuz)",
			 file->path);
}

/* *total_bytes bounds the work that overlapping segments could ask for. */
static int check_segment(const struct boot_file *file, const struct elf_segment *segment,
			 uint64_t low_end, uint64_t *total_bytes, struct error *err)
{
	uint64_t start = segment->physical_address;

	if (segment->file_bytes > segment->memory_bytes)
		return error_set(err, -EINVAL,
				 "%s: malformed ELF file: a segment is larger in the file than in "
				 "memory",
				 file->path);
	if (start < MAP_HIGH_RAM)
		return error_set(err, -ENOMEM,
				 "%s wants to be loaded at 0x%" PRIx64
				 ": below 1 MiB is the place of boot data and ACPI tables",
				 file->path, start);
	if (segment->memory_bytes > low_end || start > low_end - segment->memory_bytes ||
	    segment->memory_bytes > low_end - *total_bytes)
		return error_set(err, -ENOMEM,
				 "%s needs memory at 0x%" PRIx64 " (%" PRIu64
				 " bytes), but the VM has RAM only up to 0x%" PRIx64
				 ": give it more memory",
				 file->path, start, segment->memory_bytes, low_end);
	*total_bytes += segment->memory_bytes;
	return 0;
}

static int load_segment(const struct boot_file *file, const struct elf_segment *segment,
			const struct guest_memory *memory, struct error *err)
{
	uint64_t zero_bytes = segment->memory_bytes - segment->file_bytes;
	uint64_t zero_gpa = segment->physical_address + segment->file_bytes;
	void *zeros;
	int result = 0;

	if (segment->file_bytes > 0)
		result = boot_file_load(file, segment->offset, segment->file_bytes, memory,
					segment->physical_address, err);
	if (result < 0 || zero_bytes == 0)
		return result;
	zeros = guest_memory_translate(memory, zero_gpa, zero_bytes);
	if (!zeros)
		return error_set(err, -ENOMEM, "%s: segment outside guest memory", file->path);
	memset(zeros, 0, zero_bytes);
	return 0;
}

static bool segment_contains(const struct elf_segment *segment, uint64_t gpa)
{
	return gpa >= segment->physical_address &&
	       gpa - segment->physical_address < segment->memory_bytes;
}

int elf_image_load(const struct boot_file *file, const struct guest_memory *memory,
		   struct elf_image *image, struct error *err)
{
	uint64_t low_end = memory_layout_low_end(memory);
	uint64_t total_bytes = 0;
	bool entry_is_loaded = false;
	struct elf_header header;
	int result = elf_header_read(file, &header, err);

	*image = (struct elf_image){0};
	if (result == 0)
		result = find_entry(file, &header, &image->entry_gpa, err);
	for (unsigned i = 0; result == 0 && i < header.segment_count; i++) {
		const struct elf_segment *segment = &header.segments[i];

		if (segment->type != PT_LOAD || segment->memory_bytes == 0)
			continue;
		result = check_segment(file, segment, low_end, &total_bytes, err);
		if (result == 0)
			result = load_segment(file, segment, memory, err);
		if (result == 0 &&
		    segment->physical_address + segment->memory_bytes > image->end_gpa)
			image->end_gpa = segment->physical_address + segment->memory_bytes;
		entry_is_loaded = entry_is_loaded || segment_contains(segment, image->entry_gpa);
	}
	if (result == 0 && !entry_is_loaded)
		return error_set(err, -EINVAL, "%s: its PVH entry point 0x%x is in no segment",
				 file->path, image->entry_gpa);
	return result;
}
