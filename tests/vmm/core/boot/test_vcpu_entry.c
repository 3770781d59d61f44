/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/x86_64/vcpu_entry.h"

#include "tests/vmm/core/boot/boot_fixture.h"
#include "vmm/core/platform/memory_map.h"

static const uint64_t *table_at(const struct guest_memory *memory, uint64_t gpa)
{
	return (const uint64_t *)(const void *)(memory->regions[0].hva + gpa);
}

/* Walk the page tables in guest memory as the CPU would: 2 MiB pages. */
static uint64_t walk(const struct guest_memory *memory, uint64_t cr3, uint64_t address)
{
	uint64_t pdpt = table_at(memory, cr3)[address >> 39 & 511];
	uint64_t directory = table_at(memory, pdpt & ~0xfffULL)[address >> 30 & 511];
	uint64_t page = table_at(memory, directory & ~0xfffULL)[address >> 21 & 511];

	assert_true(pdpt & directory & page & 1);
	assert_true(page & 0x80);
	return (page & ~0x1fffffULL) | (address & 0x1fffff);
}

static void linux_starts_in_long_mode_with_the_zero_page_in_rsi(void **state)
{
	struct boot_entry entry = {BOOT_LINUX64, 0x1000200, MAP_BOOT_ZERO_PAGE};
	struct kvm_sregs sregs = {.apic_base = 0xfee00900};
	struct kvm_regs regs;

	(void)state;
	boot_vcpu_registers(&entry, &regs, &sregs);
	assert_int_equal(regs.rip, 0x1000200);
	assert_int_equal(regs.rsi, MAP_BOOT_ZERO_PAGE);
	assert_int_equal(regs.rflags, 2);
	assert_int_equal(sregs.cs.l, 1);
	assert_int_equal(sregs.cs.db, 0);
	assert_int_equal(sregs.cs.selector, 0x10);
	assert_int_equal(sregs.ds.selector, 0x18);
	assert_int_equal(sregs.cr0, 0x80000011);
	assert_int_equal(sregs.cr4, 0x20);
	assert_int_equal(sregs.efer, 0x500);
	assert_int_equal(sregs.apic_base, 0xfee00900);
}

static void pvh_starts_in_flat_protected_mode_with_start_info_in_ebx(void **state)
{
	struct boot_entry entry = {BOOT_PVH, 0x1000040, MAP_BOOT_START_INFO};
	struct kvm_sregs sregs = {.efer = 0x500, .cr4 = 0x20};
	struct kvm_regs regs;

	(void)state;
	boot_vcpu_registers(&entry, &regs, &sregs);
	assert_int_equal(regs.rip, 0x1000040);
	assert_int_equal(regs.rbx, MAP_BOOT_START_INFO);
	assert_int_equal(sregs.cr0, 0x11);
	assert_int_equal(sregs.cr4, 0);
	assert_int_equal(sregs.efer, 0);
	assert_int_equal(sregs.cs.db, 1);
	assert_int_equal(sregs.cs.l, 0);
	assert_int_equal(sregs.cs.limit, 0xffffffff);
	assert_int_equal(sregs.tr.limit, 0x67);
}

static void the_gdt_has_the_descriptors_that_the_protocols_name(void **state)
{
	struct guest_memory memory = fixture_memory_new(MIB(2));
	const uint64_t *gdt = table_at(&memory, MAP_BOOT_GDT);

	(void)state;
	assert_int_equal(boot_write_vcpu_tables(BOOT_LINUX64, &memory, NULL), 0);
	assert_int_equal(gdt[0], 0);
	assert_int_equal(gdt[2], 0x00af9b000000ffff);
	assert_int_equal(gdt[3], 0x00cf93000000ffff);
	assert_int_equal(gdt[4], 0x00008b0000000067);
	assert_int_equal(boot_write_vcpu_tables(BOOT_PVH, &memory, NULL), 0);
	assert_int_equal(gdt[2], 0x00cf9b000000ffff);
	fixture_memory_free(&memory);
}

static void the_page_tables_map_4_gib_to_itself(void **state)
{
	struct guest_memory memory = fixture_memory_new(MIB(2));
	static const uint64_t addresses[] = {0,		 0x7000,     0x1000200,	 0x3fffffff,
					     0x40000000, 0xbfffffff, 0xfee00000, 0xffffffff};

	(void)state;
	assert_int_equal(boot_write_vcpu_tables(BOOT_LINUX64, &memory, NULL), 0);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		assert_int_equal(walk(&memory, MAP_BOOT_PAGE_TABLES, addresses[i]), addresses[i]);
	assert_int_equal(table_at(&memory, MAP_BOOT_PAGE_TABLES)[1], 0);
	assert_int_equal(table_at(&memory, MAP_BOOT_PAGE_TABLES + 4096)[4], 0);
	fixture_memory_free(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_starts_in_long_mode_with_the_zero_page_in_rsi),
		cmocka_unit_test(pvh_starts_in_flat_protected_mode_with_start_info_in_ebx),
		cmocka_unit_test(the_gdt_has_the_descriptors_that_the_protocols_name),
		cmocka_unit_test(the_page_tables_map_4_gib_to_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
