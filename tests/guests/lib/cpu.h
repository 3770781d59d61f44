/* SPDX-License-Identifier: Apache-2.0 */
/* Single instructions of the CPU that C has no words for. */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct cpuid_result {
	uint32_t eax;
	uint32_t ebx;
	uint32_t ecx;
	uint32_t edx;
};

static inline struct cpuid_result cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_result result;

	__asm__ volatile("cpuid"
			 : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
			 : "a"(leaf), "c"(subleaf));
	return result;
}

static inline uint64_t cpu_read_msr(uint32_t msr)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return ((uint64_t)high << 32) | low;
}

static inline void cpu_write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t cpu_read_tsc(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return ((uint64_t)high << 32) | low;
}

static inline uint64_t cpu_read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr2, %0" : "=r"(value));
	return value;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void cpu_disable_interrupts(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void cpu_enable_interrupts(void)
{
	__asm__ volatile("sti" : : : "memory");
}

/* Enables interrupts and halts as one step: a wake-up between the two cannot be lost. */
static inline void cpu_enable_interrupts_and_halt(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static inline void __attribute__((noreturn)) cpu_halt_forever(void)
{
	for (;;) {
		__asm__ volatile("cli\n\thlt" : : : "memory");
	}
}

/* Store-to-load barrier; a locked add, because mfence is not emulated everywhere. */
static inline void cpu_full_barrier(void)
{
	__asm__ volatile("lock addl $0, (%%rsp)" : : : "memory", "cc");
}

static inline void cpu_compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline uint32_t cpu_atomic_increment(volatile uint32_t *counter)
{
	uint32_t old = 1;

	__asm__ volatile("lock xaddl %0, %1" : "+r"(old), "+m"(*counter) : : "memory", "cc");
	return old + 1;
}

#endif
