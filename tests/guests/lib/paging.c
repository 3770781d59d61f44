/* SPDX-License-Identifier: Apache-2.0 */
#include "paging.h"

#include "page_alloc.h"

#define ENTRY_PRESENT_WRITABLE 0x3u
#define ENTRY_LARGE	       0x80u
#define ENTRY_ADDRESS_MASK     0x000FFFFFFFFFF000ull
#define GIB_SHIFT	       30
#define LARGE_PAGE_SHIFT       21

extern uint64_t boot_pml4[512];

static uint64_t *paging_next_table(uint64_t *entry)
{
	if (!(*entry & 1)) {
		*entry = (uint64_t)(uintptr_t)page_alloc(1) | ENTRY_PRESENT_WRITABLE;
	}
	return (uint64_t *)(uintptr_t)(*entry & ENTRY_ADDRESS_MASK);
}

static void paging_map_gib(uint64_t gib)
{
	uint64_t *directory_pointers = paging_next_table(&boot_pml4[(gib >> 9) & 511]);
	uint64_t *entry = &directory_pointers[gib & 511];

	if (*entry & 1) {
		return;
	}
	uint64_t *directory = page_alloc_unzeroed(1);
	for (uint64_t i = 0; i < 512; i++) {
		directory[i] = (gib << GIB_SHIFT) | (i << LARGE_PAGE_SHIFT) | ENTRY_LARGE |
			       ENTRY_PRESENT_WRITABLE;
	}
	/* Entries only go from absent to present, so no stale translation has to be flushed. */
	*entry = (uint64_t)(uintptr_t)directory | ENTRY_PRESENT_WRITABLE;
}

void paging_map(uint64_t gpa, uint64_t size_bytes)
{
	if (size_bytes == 0) {
		return;
	}
	for (uint64_t gib = gpa >> GIB_SHIFT; gib <= (gpa + size_bytes - 1) >> GIB_SHIFT; gib++) {
		paging_map_gib(gib);
	}
}
