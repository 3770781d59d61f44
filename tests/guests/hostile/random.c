/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_info.h"
#include "hostile.h"
#include "virtqueue.h"

#define FILL_BYTES                                                                                 \
	0x40000u /* enough for every table a device is led to; the rest stays as it is             \
		  */

static uint64_t random_state = 1;

void random_seed(uint64_t seed)
{
	random_state = seed * 0x9E3779B97F4A7C15ull + 0x2545F4914F6CDD1Dull;
	if (random_state == 0)
		random_state = 1;
}

uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

uint32_t random_u32(void)
{
	return (uint32_t)(random_u64() >> 32);
}

uint32_t random_below(uint32_t limit)
{
	return limit == 0 ? 0 : random_u32() % limit;
}

bool random_one_in(uint32_t n)
{
	return random_below(n) == 0;
}

uint32_t random_interesting_u32(void)
{
	switch (random_below(6)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return 0xFFFFFFFFu;
	case 3:
		return 1u << random_below(32);
	case 4:
		return (1u << random_below(32)) - 1;
	default:
		return random_u32();
	}
}

static uint64_t random_end_of_ram(void)
{
	const struct boot_info *info = boot_info_get();
	uint64_t end = 0;

	/* The last RAM range that ends above the arena: the guest owns nothing up there. */
	for (uint32_t i = 0; i < info->memory_count; i++) {
		uint64_t range_end = info->memory[i].gpa + info->memory[i].size_bytes;

		if (info->memory[i].type == BOOT_MEMORY_RAM && range_end > ARENA_GPA + ARENA_SIZE &&
		    (end == 0 || random_one_in(2)))
			end = range_end;
	}
	return end;
}

uint64_t random_gpa(void)
{
	switch (random_below(10)) {
	case 0:
		return random_end_of_ram() - random_below(0x2000);
	case 1:
		return random_end_of_ram() + random_below(0x2000);
	case 2:
		return 0xC0000000ull + random_below(0x3EBFF000);
	case 3:
		return 0xFED00000ull + random_below(0xFE000);
	case 4:
		return 0ull - 1 - random_below(0x2000);
	case 5:
		return (random_u64() << 32) | (ARENA_GPA + random_below(ARENA_SIZE));
	default:
		/* Aligned to a page more often than not: rings have to be aligned to work at all.
		 */
		return ARENA_GPA + (random_below(FILL_BYTES) & (random_one_in(4) ? ~0u : ~0xFFFu));
	}
}

uint64_t random_defuse_message(uint64_t value)
{
	for (unsigned int shift = 0; shift < 64; shift += 8) {
		uint64_t mode = (value >> shift) & 7;

		if (mode == 2 || mode == 5 || mode == 6)
			value &= ~(7ull << shift);
	}
	return value;
}

static void arena_fill_descriptor(struct virtq_desc *descriptor)
{
	descriptor->gpa = random_gpa();
	descriptor->size_bytes =
		random_one_in(2) ? 1 + random_below(4096) : random_interesting_u32();
	descriptor->flags = (uint16_t)random_below(8);
	descriptor->next = (uint16_t)(random_one_in(8) ? random_u32() : random_below(64));
}

/* Every 4 KiB is of one kind: descriptors, small 16-bit numbers (rings), or block request headers.
 */
void arena_fill(void)
{
	for (uint64_t page = ARENA_GPA; page < ARENA_GPA + FILL_BYTES; page += 4096) {
		uint32_t kind = random_below(3);

		for (uint64_t gpa = page; gpa < page + 4096; gpa += 16) {
			uint16_t *numbers = (uint16_t *)(uintptr_t)gpa;

			if (kind == 0) {
				arena_fill_descriptor((struct virtq_desc *)(uintptr_t)gpa);
			} else if (kind == 1) {
				for (int i = 0; i < 8; i++)
					numbers[i] = (uint16_t)random_below(random_one_in(8) ? 65536
											     : 64);
			} else {
				*(uint64_t *)(uintptr_t)gpa = random_below(16);
				*(uint64_t *)(uintptr_t)(gpa + 8) = random_interesting_u32();
			}
		}
	}
}
