/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/x86_64/vcpu_entry.h"

#include <errno.h>
#include <string.h>

#include "vmm/core/platform/memory_map.h"

#define CR0_PE	 (1ULL << 0)
#define CR0_ET	 (1ULL << 4)
#define CR0_PG	 (1ULL << 31)
#define CR4_PAE	 (1ULL << 5)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)
#define RFLAGS_1 (1ULL << 1) /* always set */

/* The selectors that the Linux boot protocol names: __BOOT_CS and __BOOT_DS. */
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS  0x20

#define SEGMENT_CODE_READ     0xb /* execute, read, accessed */
#define SEGMENT_DATA_WRITE    0x3 /* read, write, accessed */
#define SEGMENT_TSS_BUSY      0xb
#define TSS_LIMIT	      0x67
#define GDT_ENTRIES	      6 /* a 64-bit TSS descriptor takes two */
#define PAGE_PRESENT_WRITE    0x3ULL
#define PAGE_LARGE	      0x80ULL
#define PAGE_TABLE_ENTRIES    512
#define IDENTITY_MAPPED_GIB   4
#define PAGE_DIRECTORY_GPA(i) (MAP_BOOT_PAGE_TABLES + (2ULL + (i)) * GUEST_PAGE_SIZE)

static struct kvm_segment code_segment(enum boot_protocol protocol)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = SELECTOR_CODE,
		.type = SEGMENT_CODE_READ,
		.present = 1,
		.db = protocol == BOOT_PVH,
		.s = 1,
		.l = protocol == BOOT_LINUX64,
		.g = 1,
	};
}

static struct kvm_segment data_segment(void)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = SELECTOR_DATA,
		.type = SEGMENT_DATA_WRITE,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

static struct kvm_segment task_segment(void)
{
	return (struct kvm_segment){
		.limit = TSS_LIMIT,
		.selector = SELECTOR_TSS,
		.type = SEGMENT_TSS_BUSY,
		.present = 1,
	};
}

/* Intel SDM volume 3, 3.4.5: the descriptor of a segment with base 0. */
static uint64_t descriptor(struct kvm_segment segment)
{
	uint64_t limit = segment.g ? segment.limit >> 12 : segment.limit;

	return (limit & 0xffff) | (uint64_t)segment.type << 40 | (uint64_t)segment.s << 44 |
	       (uint64_t)segment.present << 47 | (limit >> 16 & 0xf) << 48 |
	       (uint64_t)segment.l << 53 | (uint64_t)segment.db << 54 | (uint64_t)segment.g << 55;
}

static int write_gdt(enum boot_protocol protocol, const struct guest_memory *memory)
{
	uint64_t gdt[GDT_ENTRIES] = {
		[SELECTOR_CODE / 8] = descriptor(code_segment(protocol)),
		[SELECTOR_DATA / 8] = descriptor(data_segment()),
		[SELECTOR_TSS / 8] = descriptor(task_segment()),
	};

	return guest_memory_write(memory, MAP_BOOT_GDT, gdt, sizeof(gdt));
}

static int write_page(const struct guest_memory *memory, uint64_t gpa,
		      const uint64_t entries[PAGE_TABLE_ENTRIES])
{
	return guest_memory_write(memory, gpa, entries, PAGE_TABLE_ENTRIES * sizeof(entries[0]));
}

/* A PML4 with one entry, a PDPT with four, and four page directories of 2 MiB pages. */
static int write_page_tables(const struct guest_memory *memory)
{
	uint64_t entries[PAGE_TABLE_ENTRIES] = {0};
	uint64_t pdpt_gpa = MAP_BOOT_PAGE_TABLES + GUEST_PAGE_SIZE;
	int result;

	entries[0] = pdpt_gpa | PAGE_PRESENT_WRITE;
	result = write_page(memory, MAP_BOOT_PAGE_TABLES, entries);
	for (unsigned i = 0; i < IDENTITY_MAPPED_GIB; i++)
		entries[i] = PAGE_DIRECTORY_GPA(i) | PAGE_PRESENT_WRITE;
	if (result == 0)
		result = write_page(memory, pdpt_gpa, entries);
	for (unsigned i = 0; result == 0 && i < IDENTITY_MAPPED_GIB; i++) {
		for (unsigned j = 0; j < PAGE_TABLE_ENTRIES; j++)
			entries[j] = MAP_GIB(i) | MAP_MIB(2) * j | PAGE_LARGE | PAGE_PRESENT_WRITE;
		result = write_page(memory, PAGE_DIRECTORY_GPA(i), entries);
	}
	return result;
}

int boot_write_vcpu_tables(enum boot_protocol protocol, const struct guest_memory *memory,
			   struct error *err)
{
	int result = write_gdt(protocol, memory);

	if (result == 0 && protocol == BOOT_LINUX64)
		result = write_page_tables(memory);
	if (result < 0)
		return error_set(err, -ENOMEM, "no RAM for the boot vCPU's tables below 1 MiB");
	return 0;
}

static void set_segments(enum boot_protocol protocol, struct kvm_sregs *sregs)
{
	sregs->cs = code_segment(protocol);
	sregs->ds = data_segment();
	sregs->es = sregs->ds;
	sregs->fs = sregs->ds;
	sregs->gs = sregs->ds;
	sregs->ss = sregs->ds;
	sregs->tr = task_segment();
	sregs->gdt = (struct kvm_dtable){.base = MAP_BOOT_GDT,
					 .limit = GDT_ENTRIES * sizeof(uint64_t) - 1};
	sregs->idt = (struct kvm_dtable){.base = 0, .limit = 0};
}

void boot_vcpu_registers(const struct boot_entry *entry, struct kvm_regs *regs,
			 struct kvm_sregs *sregs)
{
	*regs = (struct kvm_regs){.rip = entry->rip, .rflags = RFLAGS_1};
	set_segments(entry->protocol, sregs);
	sregs->cr2 = 0;
	sregs->cr8 = 0;
	if (entry->protocol == BOOT_LINUX64) {
		regs->rsi = entry->boot_data_gpa;
		regs->rsp = MAP_BOOT_STACK;
		sregs->cr0 = CR0_PE | CR0_ET | CR0_PG;
		sregs->cr3 = MAP_BOOT_PAGE_TABLES;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
	} else {
		regs->rbx = entry->boot_data_gpa;
		sregs->cr0 = CR0_PE | CR0_ET;
		sregs->cr3 = 0;
		sregs->cr4 = 0;
		sregs->efer = 0;
	}
}
