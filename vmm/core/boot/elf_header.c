/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/elf_header.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Where the program headers are. */
struct segment_table {
	uint64_t offset;
	unsigned count, entry_bytes;
	bool is_64_bit;
};

static int check_identity(const struct boot_file *file, const unsigned char *identity,
			  uint16_t machine, struct error *err)
{
	if (identity[EI_DATA] != ELFDATA2LSB || (machine != EM_X86_64 && machine != EM_386))
		return error_set(err, -EINVAL, "%s is an ELF file for another machine than x86",
				 file->path);
	return 0;
}

/* e_machine lies at the same place in both layouts. */
static int read_segment_table(const struct boot_file *file, struct segment_table *table,
			      struct error *err)
{
	union {
		unsigned char identity[EI_NIDENT];
		Elf32_Ehdr elf32;
		Elf64_Ehdr elf64;
	} header = {0};
	size_t bytes = file->size_bytes < sizeof(header) ? file->size_bytes : sizeof(header);
	int result = boot_file_read(file, 0, &header, bytes, err);

	if (result < 0)
		return result;
	table->is_64_bit = header.identity[EI_CLASS] == ELFCLASS64;
	if (bytes < (table->is_64_bit ? sizeof(header.elf64) : sizeof(header.elf32)))
		return error_set(err, -EINVAL, "%s is truncated: it ends in its ELF header",
				 file->path);
	table->offset = table->is_64_bit ? header.elf64.e_phoff : header.elf32.e_phoff;
	table->count = table->is_64_bit ? header.elf64.e_phnum : header.elf32.e_phnum;
	table->entry_bytes = table->is_64_bit ? header.elf64.e_phentsize : header.elf32.e_phentsize;
	return check_identity(file, header.identity, header.elf64.e_machine, err);
}

static int check_segment_table(const struct boot_file *file, const struct segment_table *table,
			       struct error *err)
{
	size_t expected = table->is_64_bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (table->count == 0)
		return error_set(
			err, -EINVAL,
			"%s is an ELF file without segments (an object file?), not a kernel",
			file->path);
	if (table->count > ELF_MAX_SEGMENTS || table->entry_bytes != expected)
		return error_set(err, -EINVAL,
				 "%s: malformed ELF file: %u program headers of %u bytes",
				 file->path, table->count, table->entry_bytes);
	return 0;
}

static void widen_segment(const Elf32_Phdr *from, struct elf_segment *to)
{
	*to = (struct elf_segment){
		.type = from->p_type,
		.offset = from->p_offset,
		.physical_address = from->p_paddr,
		.file_bytes = from->p_filesz,
		.memory_bytes = from->p_memsz,
		.alignment = from->p_align,
	};
}

static void copy_segment(const Elf64_Phdr *from, struct elf_segment *to)
{
	*to = (struct elf_segment){
		.type = from->p_type,
		.offset = from->p_offset,
		.physical_address = from->p_paddr,
		.file_bytes = from->p_filesz,
		.memory_bytes = from->p_memsz,
		.alignment = from->p_align,
	};
}

static int read_segment(const struct boot_file *file, const struct segment_table *table,
			unsigned index, struct elf_segment *segment, struct error *err)
{
	union {
		Elf32_Phdr elf32;
		Elf64_Phdr elf64;
	} raw = {0};
	uint64_t skip = (uint64_t)index * table->entry_bytes;
	int result;

	if (table->offset > file->size_bytes) /* so that the sum below cannot wrap */
		return error_set(err, -EINVAL,
				 "%s is truncated: its program headers are behind its end",
				 file->path);
	result = boot_file_read(file, table->offset + skip, &raw, table->entry_bytes, err);
	if (result < 0)
		return result;
	if (table->is_64_bit)
		copy_segment(&raw.elf64, segment);
	else
		widen_segment(&raw.elf32, segment);
	if (segment->offset > file->size_bytes ||
	    segment->file_bytes > file->size_bytes - segment->offset)
		return error_set(err, -EINVAL,
				 "%s is truncated: segment %u (%" PRIu64 " bytes at %" PRIu64
				 ") goes beyond its end",
				 file->path, index, segment->file_bytes, segment->offset);
	return 0;
}

int elf_header_read(const struct boot_file *file, struct elf_header *header, struct error *err)
{
	struct segment_table table = {0};
	int result = read_segment_table(file, &table, err);

	if (result == 0)
		result = check_segment_table(file, &table, err);
	header->segment_count = table.count;
	for (unsigned i = 0; result == 0 && i < table.count; i++)
		result = read_segment(file, &table, i, &header->segments[i], err);
	return result;
}
