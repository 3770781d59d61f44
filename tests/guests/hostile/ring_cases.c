/* SPDX-License-Identifier: Apache-2.0 */
/* One function for each way in which a split ring can be malformed (virtio 1.2, 2.7). */
#include "boot_info.h"
#include "hostile.h"
#include "rings.h"

#define BEYOND_ALL_GPA 0x0000700000000000ull
#define HOLE_GPA       0xFED80000ull

static uint64_t case_end_of_ram(void)
{
	const struct boot_info *info = boot_info_get();

	for (uint32_t i = 0; i < info->memory_count; i++) {
		uint64_t end = info->memory[i].gpa + info->memory[i].size_bytes;

		if (info->memory[i].type == BOOT_MEMORY_RAM && end > ARENA_GPA)
			return end;
	}
	return ARENA_GPA + ARENA_SIZE;
}

static void case_good(struct hostile_ring *ring)
{
	(void)ring;
}

static void case_self_loop(struct hostile_ring *ring)
{
	ring->descriptors[0].next = 0;
}

static void case_full_loop(struct hostile_ring *ring)
{
	for (uint16_t i = 0; i < RING_SIZE; i++)
		ring->descriptors[i] = (struct virtq_desc){ring->data_gpa, 16, VIRTQ_DESC_NEXT,
							   (uint16_t)((i + 1) % RING_SIZE)};
}

static void case_writable_loop(struct hostile_ring *ring)
{
	ring->descriptors[1].next = 1;
}

static void case_zero_length(struct hostile_ring *ring)
{
	for (uint16_t i = 0; i < 3; i++)
		ring->descriptors[i].size_bytes = 0;
}

static void case_zero_length_status(struct hostile_ring *ring)
{
	ring->descriptors[2].size_bytes = 0;
}

static void case_beyond_ram(struct hostile_ring *ring)
{
	ring->descriptors[1].gpa = BEYOND_ALL_GPA;
}

static void case_header_beyond_ram(struct hostile_ring *ring)
{
	ring->descriptors[0].gpa = BEYOND_ALL_GPA;
}

static void case_address_overflow(struct hostile_ring *ring)
{
	ring->descriptors[1].gpa = 0ull - 256;
}

static void case_across_end_of_ram(struct hostile_ring *ring)
{
	ring->descriptors[1].gpa = case_end_of_ram() - 256;
}

static void case_in_the_hole(struct hostile_ring *ring)
{
	ring->descriptors[1].gpa = HOLE_GPA;
}

static void case_huge_length(struct hostile_ring *ring)
{
	ring->descriptors[1].size_bytes = 0xFFFFFFFFu;
}

static void case_huge_readable_length(struct hostile_ring *ring)
{
	ring->descriptors[0].size_bytes = 0xFFFFFFF0u;
}

static void case_next_out_of_range(struct hostile_ring *ring)
{
	ring->descriptors[0].next = RING_SIZE;
}

static void case_next_far_out_of_range(struct hostile_ring *ring)
{
	ring->descriptors[1].next = 0xFFFF;
}

static void case_head_out_of_range(struct hostile_ring *ring)
{
	ring->available->ring[0] = RING_SIZE;
}

static void case_head_far_out_of_range(struct hostile_ring *ring)
{
	ring->available->ring[0] = 0xFFFF;
}

static void case_index_jumps(struct hostile_ring *ring)
{
	ring->available->index = RING_SIZE + 1;
}

static void case_index_jumps_far(struct hostile_ring *ring)
{
	ring->available->index = 0x8000;
}

static void case_index_goes_back(struct hostile_ring *ring)
{
	ring->available->index = 0xFFFF;
}

static void case_same_head_often(struct hostile_ring *ring)
{
	ring->available->index = RING_SIZE; /* every slot holds head 0 */
}

static void case_only_header(struct hostile_ring *ring)
{
	ring->descriptors[0].flags = 0;
}

static void case_short_header(struct hostile_ring *ring)
{
	ring->descriptors[0].size_bytes = 3;
}

static void case_header_writable(struct hostile_ring *ring)
{
	ring->descriptors[0].flags = VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE;
}

static void case_nothing_writable(struct hostile_ring *ring)
{
	ring->descriptors[1].flags = VIRTQ_DESC_NEXT;
	ring->descriptors[2].flags = 0;
}

static void case_readable_after_writable(struct hostile_ring *ring)
{
	ring->descriptors[2].flags = 0;
}

static void case_odd_data_length(struct hostile_ring *ring)
{
	ring->descriptors[1].size_bytes = 511;
}

static void case_chain_longer_than_ring(struct hostile_ring *ring)
{
	for (uint16_t i = 0; i < RING_SIZE; i++)
		ring->descriptors[i] =
			(struct virtq_desc){ring->data_gpa, 1, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE,
					    (uint16_t)((i + 1) % RING_SIZE)};
}

/* Turns the chain into an indirect one; the cases below spoil it. */
static void case_make_indirect(struct hostile_ring *ring)
{
	for (uint16_t i = 0; i < 3; i++)
		ring->table[i] = ring->descriptors[i];
	ring->descriptors[0] = (struct virtq_desc){
		(uintptr_t)ring->table, 3 * sizeof(struct virtq_desc), VIRTQ_DESC_INDIRECT, 0};
}

static void case_indirect_in_indirect(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->table[0] = ring->descriptors[0];
}

static void case_indirect_and_next(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->descriptors[0].flags |= VIRTQ_DESC_NEXT;
	ring->descriptors[0].next = 1;
}

static void case_indirect_writable(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->descriptors[0].flags |= VIRTQ_DESC_WRITE;
}

static void case_indirect_odd_length(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->descriptors[0].size_bytes = 17;
}

static void case_indirect_empty(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->descriptors[0].size_bytes = 0;
}

static void case_indirect_huge(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->descriptors[0].size_bytes = 0xFFFFFFF0u;
}

static void case_indirect_beyond_ram(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->descriptors[0].gpa = BEYOND_ALL_GPA;
}

static void case_indirect_across_end_of_ram(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->descriptors[0].gpa = case_end_of_ram() - sizeof(struct virtq_desc);
}

static void case_indirect_loop(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->table[1].next = 1;
}

static void case_indirect_next_out_of_table(struct hostile_ring *ring)
{
	case_make_indirect(ring);
	ring->table[1].next = 3;
}

static void case_desc_beyond_ram(struct hostile_ring *ring)
{
	ring->desc_gpa = BEYOND_ALL_GPA;
}

static void case_available_beyond_ram(struct hostile_ring *ring)
{
	ring->available_gpa = BEYOND_ALL_GPA;
}

static void case_used_beyond_ram(struct hostile_ring *ring)
{
	ring->used_gpa = BEYOND_ALL_GPA;
}

static void case_used_across_end_of_ram(struct hostile_ring *ring)
{
	ring->used_gpa = case_end_of_ram() - 8;
}

static void case_desc_overflow(struct hostile_ring *ring)
{
	ring->desc_gpa = 0ull - 16;
}

static void case_rings_in_the_hole(struct hostile_ring *ring)
{
	ring->available_gpa = HOLE_GPA;
	ring->used_gpa = HOLE_GPA + 0x800;
}

static void case_misaligned(struct hostile_ring *ring)
{
	ring->desc_gpa += 1;
	ring->available_gpa += 1;
	ring->used_gpa += 1;
}

static void case_used_over_desc(struct hostile_ring *ring)
{
	ring->used_gpa = ring->desc_gpa;
}

static void case_used_over_available(struct hostile_ring *ring)
{
	ring->used_gpa = ring->available_gpa;
}

static void case_size_zero(struct hostile_ring *ring)
{
	ring->size = 0;
}

static void case_size_not_power_of_two(struct hostile_ring *ring)
{
	ring->size = 15;
}

static void case_size_too_large(struct hostile_ring *ring)
{
	ring->size = 0x8000;
}

static void case_random(struct hostile_ring *ring)
{
	arena_fill(); /* also lies over the ring itself */
	ring->available->index = (uint16_t)random_below(RING_SIZE + 2);
	ring->used->index = 0;
}

#define CASE(name)                                                                                 \
	{                                                                                          \
#name, case_##name                                                                 \
	}

const struct ring_case ring_cases[] = {
	CASE(good),
	CASE(self_loop),
	CASE(full_loop),
	CASE(writable_loop),
	CASE(zero_length),
	CASE(zero_length_status),
	CASE(beyond_ram),
	CASE(header_beyond_ram),
	CASE(address_overflow),
	CASE(across_end_of_ram),
	CASE(in_the_hole),
	CASE(huge_length),
	CASE(huge_readable_length),
	CASE(next_out_of_range),
	CASE(next_far_out_of_range),
	CASE(head_out_of_range),
	CASE(head_far_out_of_range),
	CASE(index_jumps),
	CASE(index_jumps_far),
	CASE(index_goes_back),
	CASE(same_head_often),
	CASE(only_header),
	CASE(short_header),
	CASE(header_writable),
	CASE(nothing_writable),
	CASE(readable_after_writable),
	CASE(odd_data_length),
	CASE(chain_longer_than_ring),
	CASE(indirect_in_indirect),
	CASE(indirect_and_next),
	CASE(indirect_writable),
	CASE(indirect_odd_length),
	CASE(indirect_empty),
	CASE(indirect_huge),
	CASE(indirect_beyond_ram),
	CASE(indirect_across_end_of_ram),
	CASE(indirect_loop),
	CASE(indirect_next_out_of_table),
	CASE(desc_beyond_ram),
	CASE(available_beyond_ram),
	CASE(used_beyond_ram),
	CASE(used_across_end_of_ram),
	CASE(desc_overflow),
	CASE(rings_in_the_hole),
	CASE(misaligned),
	CASE(used_over_desc),
	CASE(used_over_available),
	CASE(size_zero),
	CASE(size_not_power_of_two),
	CASE(size_too_large),
	CASE(random),
};

const uint32_t ring_case_count = sizeof(ring_cases) / sizeof(ring_cases[0]);
