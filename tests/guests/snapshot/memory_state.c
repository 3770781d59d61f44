/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_info.h"
#include "guest.h"
#include "page_alloc.h"
#include "paging.h"
#include "snapshot.h"

#define PAGES_PER_MIB  256
#define WORDS_PER_PAGE (PAGE_SIZE_BYTES / 8)
#define HIGH_RAM_GPA   0x100000000ull

/* First what the page allocator can give, then RAM above 4 GiB. */
static uint64_t low_gpa;
static uint64_t low_pages;
static uint64_t high_gpa;
static uint64_t page_count;
static uint32_t dirty_pages;
static uint32_t stride;

static uint64_t *memory_page(uint64_t index)
{
	uint64_t gpa = index < low_pages ? low_gpa + index * PAGE_SIZE_BYTES
					 : high_gpa + (index - low_pages) * PAGE_SIZE_BYTES;

	return (uint64_t *)(uintptr_t)gpa;
}

static uint64_t memory_pattern(const uint64_t *word, uint64_t generation)
{
	uint64_t value =
		((uint64_t)(uintptr_t)word + generation * 0x100000001B3ull) * 0x9E3779B97F4A7C15ull;

	return value ^ (value >> 29);
}

static void memory_write_page(uint64_t index, uint64_t generation)
{
	uint64_t *page = memory_page(index);

	for (uint32_t word = 0; word < WORDS_PER_PAGE; word += stride)
		page[word] = memory_pattern(&page[word], generation);
}

/*
 * Pages are rewritten in turn, dirty_pages a tick, so the tick that wrote a page last follows from
 * the number of ticks. 0 is the filling at start.
 */
static uint64_t memory_generation(uint64_t index, uint64_t tick)
{
	uint64_t writes = tick * dirty_pages;
	uint64_t behind;

	if (writes <= index)
		return 0;
	behind = (writes - 1 - index) % page_count;
	return (writes - 1 - behind) / dirty_pages + 1;
}

static bool memory_page_is_good(uint64_t index, uint64_t tick, uint64_t *checksum)
{
	uint64_t generation = memory_generation(index, tick);
	const uint64_t *page = memory_page(index);
	bool good = true;

	for (uint32_t word = 0; word < WORDS_PER_PAGE; word += stride) {
		good = good && page[word] == memory_pattern(&page[word], generation);
		*checksum = *checksum * 31 + page[word];
	}
	return good;
}

static void memory_find_high(uint64_t wanted_pages)
{
	const struct boot_info *info = boot_info_get();

	for (uint32_t i = 0; i < info->memory_count; i++) {
		const struct boot_memory_range *range = &info->memory[i];

		if (range->type == BOOT_MEMORY_RAM && range->gpa == HIGH_RAM_GPA &&
		    range->size_bytes / PAGE_SIZE_BYTES >= wanted_pages) {
			high_gpa = range->gpa;
			paging_map(high_gpa, wanted_pages * PAGE_SIZE_BYTES);
			return;
		}
	}
	guest_panic("touch= asks for more RAM than there is");
}

void memory_state_init(uint64_t wanted_mib, uint32_t dirty_pages_per_tick, uint32_t stride_words)
{
	uint64_t reserve = 1024; /* pages for stacks, rings and page tables */
	uint64_t available = page_alloc_available();

	available = available > reserve ? available - reserve : 0;
	page_count = wanted_mib * PAGES_PER_MIB;
	low_pages = page_count < available ? page_count : available;
	if (page_count > low_pages)
		memory_find_high(page_count - low_pages);
	low_gpa = (uint64_t)(uintptr_t)page_alloc_unzeroed(low_pages);
	dirty_pages =
		dirty_pages_per_tick < page_count ? dirty_pages_per_tick : (uint32_t)page_count;
	stride = stride_words == 0 || stride_words > WORDS_PER_PAGE ? WORDS_PER_PAGE : stride_words;
	for (uint64_t index = 0; index < page_count; index++)
		memory_write_page(index, 0);
}

uint64_t memory_state_page_count(void)
{
	return page_count;
}

uint32_t memory_state_tick(uint64_t tick, uint64_t *checksum)
{
	uint32_t bad = 0;

	if (page_count == 0)
		return 0;
	for (uint32_t i = 0; i < dirty_pages; i++) {
		uint64_t index = ((tick - 1) * dirty_pages + i) % page_count;

		/* Look at what was there before it is overwritten. */
		bad += memory_page_is_good(index, tick - 1, checksum) ? 0 : 1;
		memory_write_page(index, tick);
	}
	return bad;
}

uint64_t memory_state_verify(uint64_t tick, uint64_t *checksum)
{
	uint64_t bad = 0;

	for (uint64_t index = 0; index < page_count; index++)
		bad += memory_page_is_good(index, tick, checksum) ? 0 : 1;
	return bad;
}
