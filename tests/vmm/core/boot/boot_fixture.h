/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory and kernel files made up in memory, for the loader's tests. */
#ifndef BULKHEAD_TESTS_VMM_CORE_BOOT_BOOT_FIXTURE_H
#define BULKHEAD_TESTS_VMM_CORE_BOOT_BOOT_FIXTURE_H

#include <asm/bootparam.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devworkers/common/guest_memory.h"

#define MIB(n)		(UINT64_C(n) << 20)
#define PVH_ENTRY_GPA	0x1000040U
#define PVH_LOAD_GPA	0x1000000U
#define BZ_SETUP_SECTS	1U
#define BZ_PAYLOAD_SIZE 4096U
#define BZ_FILE_SIZE	(2U * 512U + BZ_PAYLOAD_SIZE)

/* One region at 0 without a file behind it; unmap with fixture_memory_free(). */
static inline struct guest_memory fixture_memory_new(uint64_t size_bytes)
{
	struct guest_memory memory = {.region_count = 1};
	void *hva = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(hva, MAP_FAILED);
	memory.regions[0] =
		(struct guest_memory_region){.size_bytes = size_bytes, .hva = hva, .fd = -1};
	return memory;
}

static inline void fixture_memory_free(struct guest_memory *memory)
{
	munmap(memory->regions[0].hva, memory->regions[0].size_bytes);
}

/* A file with this content. */
static inline int fixture_file_new(const void *bytes, size_t length_bytes)
{
	int fd = memfd_create("fixture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length_bytes), length_bytes);
	return fd;
}

/* An ELF64 kernel: header, two program headers, a note and 256 bytes of code with 4 KiB of bss. */
struct fixture_elf {
	Elf64_Ehdr header;
	Elf64_Phdr load, note;
	struct {
		uint32_t name_bytes, descriptor_bytes, type;
		char name[4];
		uint32_t entry;
	} pvh_note;
	uint32_t padding; /* so that nothing follows the code */
	uint8_t code[256];
};

static inline struct fixture_elf fixture_elf_new(void)
{
	struct fixture_elf elf = {
		.header = {.e_type = ET_EXEC,
			   .e_machine = EM_X86_64,
			   .e_version = EV_CURRENT,
			   .e_phoff = offsetof(struct fixture_elf, load),
			   .e_ehsize = sizeof(Elf64_Ehdr),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = 2},
		.load = {.p_type = PT_LOAD,
			 .p_offset = offsetof(struct fixture_elf, code),
			 .p_paddr = PVH_LOAD_GPA,
			 .p_filesz = 256,
			 .p_memsz = 256 + 4096,
			 .p_align = 4096},
		.note = {.p_type = PT_NOTE,
			 .p_offset = offsetof(struct fixture_elf, pvh_note),
			 .p_filesz = sizeof(elf.pvh_note),
			 .p_memsz = sizeof(elf.pvh_note),
			 .p_align = 4},
		.pvh_note = {4, 4, 18, "Xen", PVH_ENTRY_GPA},
	};

	memcpy(elf.header.e_ident, ELFMAG, SELFMAG);
	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
	memset(elf.code, 0xc5, sizeof(elf.code));
	return elf;
}

/* A bzImage: boot sector, one setup sector, a payload. */
struct fixture_bzimage {
	uint8_t bytes[BZ_FILE_SIZE];
};

static inline struct setup_header *fixture_bzimage_header(struct fixture_bzimage *image)
{
	return (struct setup_header *)(void *)(image->bytes + 0x1f1);
}

static inline struct fixture_bzimage fixture_bzimage_new(void)
{
	struct fixture_bzimage image;
	struct setup_header *header = fixture_bzimage_header(&image);

	memset(&image, 0, sizeof(image));
	memset(image.bytes + 1024, 0xb2, BZ_PAYLOAD_SIZE);
	header->setup_sects = BZ_SETUP_SECTS;
	header->syssize = BZ_PAYLOAD_SIZE / 16;
	header->boot_flag = 0xaa55;
	header->jump = 0x6aeb; /* to 0x202 + 0x6a, the end of the header */
	memcpy(&header->header, "HdrS", 4);
	header->version = 0x020f;
	header->loadflags = LOADED_HIGH;
	header->xloadflags = XLF_KERNEL_64;
	header->relocatable_kernel = 1;
	header->kernel_alignment = 0x200000;
	header->pref_address = 0x1000000;
	header->init_size = 0x800000;
	header->cmdline_size = 2047;
	header->initrd_addr_max = 0x7fffffff;
	header->setup_data = 0x1234;
	return image;
}

#endif
