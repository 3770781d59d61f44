/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory-mapped register access. Written as explicit mov instructions: the compiler must not
 * merge, split or turn them into forms an instruction emulator does not take for MMIO.
 */
#ifndef GUEST_MMIO_H
#define GUEST_MMIO_H

#include <stdint.h>

static inline uint8_t mmio_read8(uint64_t gpa)
{
	uint8_t value;

	__asm__ volatile("movb (%1), %0" : "=q"(value) : "r"(gpa) : "memory");
	return value;
}

static inline uint16_t mmio_read16(uint64_t gpa)
{
	uint16_t value;

	__asm__ volatile("movw (%1), %0" : "=r"(value) : "r"(gpa) : "memory");
	return value;
}

static inline uint32_t mmio_read32(uint64_t gpa)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(gpa) : "memory");
	return value;
}

static inline uint64_t mmio_read64(uint64_t gpa)
{
	uint64_t value;

	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(gpa) : "memory");
	return value;
}

static inline void mmio_write8(uint64_t gpa, uint8_t value)
{
	__asm__ volatile("movb %0, (%1)" : : "q"(value), "r"(gpa) : "memory");
}

static inline void mmio_write16(uint64_t gpa, uint16_t value)
{
	__asm__ volatile("movw %0, (%1)" : : "r"(value), "r"(gpa) : "memory");
}

static inline void mmio_write32(uint64_t gpa, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(gpa) : "memory");
}

static inline void mmio_write64(uint64_t gpa, uint64_t value)
{
	__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(gpa) : "memory");
}

#endif
