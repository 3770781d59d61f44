/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/elf_image.h"

#include <errno.h>

#include "tests/vmm/core/boot/boot_fixture.h"

#define RAM_BYTES MIB(32)

static int load_bytes(const void *bytes, size_t length_bytes, struct guest_memory *memory,
		      struct elf_image *image, struct error *err)
{
	struct boot_file file;
	int fd = fixture_file_new(bytes, length_bytes);
	int result = boot_file_init(&file, fd, "/srv/vmlinux", err);

	if (result == 0)
		result = elf_image_load(&file, memory, image, err);
	close(fd);
	return result;
}

static void expect_refused(const struct fixture_elf *elf, int code, const char *text)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct error err = ERROR_INIT;
	struct elf_image image = {0};

	assert_int_equal(load_bytes(elf, sizeof(*elf), &memory, &image, &err), code);
	if (!strstr(err.message, text))
		fail_msg("\"%s\" does not say \"%s\"", err.message, text);
	fixture_memory_free(&memory);
}

static void segments_go_to_their_physical_addresses_and_bss_is_cleared(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_elf elf = fixture_elf_new();
	const uint8_t *ram = memory.regions[0].hva;
	struct elf_image image = {0};

	(void)state;
	memset(memory.regions[0].hva + PVH_LOAD_GPA, 0xff, 8192);
	assert_int_equal(load_bytes(&elf, sizeof(elf), &memory, &image, NULL), 0);
	assert_int_equal(image.entry_gpa, PVH_ENTRY_GPA);
	assert_int_equal(image.end_gpa, PVH_LOAD_GPA + 256 + 4096);
	assert_memory_equal(ram + PVH_LOAD_GPA, elf.code, 256);
	assert_int_equal(ram[PVH_LOAD_GPA + 256], 0);
	assert_int_equal(ram[PVH_LOAD_GPA + 256 + 4095], 0);
	assert_int_equal(ram[PVH_LOAD_GPA + 256 + 4096], 0xff);
	fixture_memory_free(&memory);
}

static void a_32_bit_kernel_is_loaded(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct elf_image image = {0};
	struct {
		Elf32_Ehdr header;
		Elf32_Phdr load, note;
		uint32_t pvh_note[5];
		uint8_t code[64];
	} elf = {
		.header = {.e_machine = EM_386,
			   .e_phoff = sizeof(Elf32_Ehdr),
			   .e_phentsize = sizeof(Elf32_Phdr),
			   .e_phnum = 2},
		.load = {.p_type = PT_LOAD, .p_paddr = 0x100000, .p_filesz = 64, .p_memsz = 64},
		.note = {.p_type = PT_NOTE, .p_filesz = 20},
		.pvh_note = {4, 4, 18, 0x6e6558, 0x100000},
		.code = {0xf4},
	};

	(void)state;
	memcpy(elf.header.e_ident, ELFMAG, SELFMAG);
	elf.header.e_ident[EI_CLASS] = ELFCLASS32;
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.load.p_offset = (uint32_t)((uint8_t *)elf.code - (uint8_t *)&elf);
	elf.note.p_offset = (uint32_t)((uint8_t *)elf.pvh_note - (uint8_t *)&elf);
	assert_int_equal(load_bytes(&elf, sizeof(elf), &memory, &image, NULL), 0);
	assert_int_equal(image.entry_gpa, 0x100000);
	assert_int_equal(memory.regions[0].hva[0x100000], 0xf4);
	fixture_memory_free(&memory);
}

static void a_pvh_note_behind_other_notes_is_found(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_elf elf = fixture_elf_new();
	uint8_t file[sizeof(elf) + 256];
	static const uint32_t build_id[] = {4, 3, 3, 0x554e47, 0x00c0ffee};
	struct elf_image image = {0};

	(void)state;
	elf.note.p_offset = sizeof(elf);
	elf.note.p_filesz = sizeof(build_id) + sizeof(elf.pvh_note);
	memcpy(file, &elf, sizeof(elf));
	memcpy(file + sizeof(elf), build_id, sizeof(build_id));
	memcpy(file + sizeof(elf) + sizeof(build_id), &elf.pvh_note, sizeof(elf.pvh_note));
	assert_int_equal(load_bytes(file, sizeof(file), &memory, &image, NULL), 0);
	assert_int_equal(image.entry_gpa, PVH_ENTRY_GPA);
	fixture_memory_free(&memory);
}

static void without_pvh_note_the_message_names_the_option(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.pvh_note.type = 17;
	expect_refused(&elf, -EINVAL, "CONFIG_PVH");
	elf = fixture_elf_new();
	elf.pvh_note.name[0] = 'G';
	expect_refused(&elf, -EINVAL, "CONFIG_PVH");
	elf = fixture_elf_new();
	elf.note.p_type = PT_NULL;
	expect_refused(&elf, -EINVAL, "CONFIG_PVH");
}

static void note_sizes_beyond_the_segment_end_the_search(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.pvh_note.name_bytes = UINT32_MAX;
	expect_refused(&elf, -EINVAL, "CONFIG_PVH");
	elf = fixture_elf_new();
	elf.pvh_note.descriptor_bytes = UINT32_MAX - 2;
	expect_refused(&elf, -EINVAL, "CONFIG_PVH");
	elf = fixture_elf_new();
	elf.note.p_filesz = 14;
	expect_refused(&elf, -EINVAL, "CONFIG_PVH");
}

static void a_segment_below_1_mib_is_refused(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.load.p_paddr = 0xe0000;
	expect_refused(&elf, -ENOMEM, "below 1 MiB");
}

static void a_segment_outside_ram_is_refused(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.load.p_paddr = RAM_BYTES - 256;
	expect_refused(&elf, -ENOMEM, "give it more memory");
	elf.load.p_paddr = UINT64_MAX - 16;
	expect_refused(&elf, -ENOMEM, "give it more memory");
	elf = fixture_elf_new();
	elf.load.p_memsz = UINT64_MAX - 4096;
	expect_refused(&elf, -ENOMEM, "give it more memory");
}

static void overlapping_segments_cannot_ask_for_more_than_all_ram(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct {
		struct fixture_elf elf;
		Elf64_Phdr segments[3];
	} file = {.elf = fixture_elf_new()};
	struct error err = ERROR_INIT;
	struct elf_image image = {0};

	(void)state;
	file.segments[0] = file.elf.note;
	file.segments[1] = file.elf.load;
	file.segments[1].p_memsz = MIB(12);
	file.segments[2] = file.segments[1];
	file.elf.header.e_phoff = sizeof(file.elf);
	file.elf.header.e_phnum = 3;
	assert_int_equal(load_bytes(&file, sizeof(file), &memory, &image, &err), 0);
	file.segments[1].p_memsz = MIB(16);
	file.segments[2].p_memsz = MIB(16) + 1;
	file.segments[2].p_paddr = MIB(1);
	assert_int_equal(load_bytes(&file, sizeof(file), &memory, &image, &err), -ENOMEM);
	fixture_memory_free(&memory);
}

static void a_truncated_segment_is_named(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.load.p_filesz = 257;
	expect_refused(&elf, -EINVAL, "truncated");
	elf = fixture_elf_new();
	elf.load.p_offset = UINT64_MAX - 16;
	expect_refused(&elf, -EINVAL, "truncated");
	elf = fixture_elf_new();
	elf.header.e_phoff = UINT64_MAX - 16;
	expect_refused(&elf, -EINVAL, "truncated");
}

static void more_bytes_in_the_file_than_in_memory_are_refused(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.load.p_memsz = 255;
	expect_refused(&elf, -EINVAL, "larger in the file");
}

static void an_entry_point_outside_the_segments_is_refused(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.pvh_note.entry = PVH_LOAD_GPA + 256 + 4096;
	expect_refused(&elf, -EINVAL, "in no segment");
}

static void another_machine_is_named(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.header.e_machine = EM_AARCH64;
	expect_refused(&elf, -EINVAL, "another machine");
	elf = fixture_elf_new();
	elf.header.e_ident[EI_DATA] = ELFDATA2MSB;
	expect_refused(&elf, -EINVAL, "another machine");
}

static void strange_program_header_tables_are_refused(void **state)
{
	struct fixture_elf elf = fixture_elf_new();

	(void)state;
	elf.header.e_phnum = 0;
	expect_refused(&elf, -EINVAL, "without segments");
	elf.header.e_phnum = 65535;
	expect_refused(&elf, -EINVAL, "malformed");
	elf = fixture_elf_new();
	elf.header.e_phentsize = 8;
	expect_refused(&elf, -EINVAL, "malformed");
}

static void every_shorter_file_is_refused(void **state)
{
	struct guest_memory memory = fixture_memory_new(RAM_BYTES);
	struct fixture_elf elf = fixture_elf_new();
	struct elf_image image = {0};

	(void)state;
	for (size_t bytes = 4; bytes < sizeof(elf); bytes++)
		assert_int_equal(load_bytes(&elf, bytes, &memory, &image, NULL), -EINVAL);
	fixture_memory_free(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_go_to_their_physical_addresses_and_bss_is_cleared),
		cmocka_unit_test(a_32_bit_kernel_is_loaded),
		cmocka_unit_test(a_pvh_note_behind_other_notes_is_found),
		cmocka_unit_test(without_pvh_note_the_message_names_the_option),
		cmocka_unit_test(note_sizes_beyond_the_segment_end_the_search),
		cmocka_unit_test(a_segment_below_1_mib_is_refused),
		cmocka_unit_test(a_segment_outside_ram_is_refused),
		cmocka_unit_test(overlapping_segments_cannot_ask_for_more_than_all_ram),
		cmocka_unit_test(a_truncated_segment_is_named),
		cmocka_unit_test(more_bytes_in_the_file_than_in_memory_are_refused),
		cmocka_unit_test(an_entry_point_outside_the_segments_is_refused),
		cmocka_unit_test(another_machine_is_named),
		cmocka_unit_test(strange_program_header_tables_are_refused),
		cmocka_unit_test(every_shorter_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
