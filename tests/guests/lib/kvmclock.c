/* SPDX-License-Identifier: Apache-2.0 */
#include "kvmclock.h"

#include <stddef.h>

#include "cpu.h"
#include "string.h"

#define MSR_WALL_CLOCK		 0x4B564D00u
#define MSR_SYSTEM_TIME		 0x4B564D01u
#define KVM_SIGNATURE_LEAF	 0x40000000u
#define KVM_FEATURE_LEAF	 0x40000001u
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)

struct clock_page {
	uint32_t version; /* odd while the hypervisor writes */
	uint32_t padding;
	uint64_t tsc_at_update;
	uint64_t system_time_ns;
	uint32_t tsc_to_ns_multiplier; /* 32.32 fixed point, after the shift */
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t reserved[2];
};

struct wall_clock {
	uint32_t version;
	uint32_t seconds;
	uint32_t nanoseconds;
};

static volatile struct clock_page clock_page __attribute__((aligned(64)));
static volatile struct wall_clock wall_clock __attribute__((aligned(64)));

bool kvmclock_is_offered(void)
{
	struct cpuid_result leaf;
	char signature[12];

	if (!(cpu_cpuid(1, 0).ecx & (1u << 31))) {
		return false;
	}
	leaf = cpu_cpuid(KVM_SIGNATURE_LEAF, 0);
	memcpy(signature, &leaf.ebx, 4);
	memcpy(signature + 4, &leaf.ecx, 4);
	memcpy(signature + 8, &leaf.edx, 4);
	return memcmp(signature, "KVMKVMKVM\0\0\0", 12) == 0 &&
	       (cpu_cpuid(KVM_FEATURE_LEAF, 0).eax & KVM_FEATURE_CLOCKSOURCE2);
}

bool kvmclock_enable(void)
{
	if (!kvmclock_is_offered()) {
		return false;
	}
	cpu_write_msr(MSR_SYSTEM_TIME, (uint64_t)(uintptr_t)&clock_page | 1);
	for (int i = 0; i < 1000 && clock_page.tsc_to_ns_multiplier == 0; i++) {
		cpu_relax();
	}
	return clock_page.tsc_to_ns_multiplier != 0;
}

/* (delta * multiplier) >> 32 without a 128-bit product. */
static uint64_t kvmclock_scale(uint64_t delta, uint32_t multiplier, int8_t shift)
{
	delta = shift < 0 ? delta >> -shift : delta << shift;
	return (delta >> 32) * multiplier + (((delta & 0xFFFFFFFFu) * multiplier) >> 32);
}

uint64_t kvmclock_now_ns(void)
{
	uint64_t now_ns;
	uint32_t version;

	do {
		version = clock_page.version & ~1u;
		cpu_compiler_barrier();
		now_ns = clock_page.system_time_ns +
			 kvmclock_scale(cpu_read_tsc() - clock_page.tsc_at_update,
					clock_page.tsc_to_ns_multiplier, clock_page.tsc_shift);
		cpu_compiler_barrier();
	} while (version != clock_page.version);
	return now_ns;
}

uint32_t kvmclock_boot_wall_seconds(void)
{
	if (!kvmclock_is_offered()) {
		return 0;
	}
	cpu_write_msr(MSR_WALL_CLOCK, (uint64_t)(uintptr_t)&wall_clock);
	return wall_clock.seconds;
}

uint64_t kvmclock_tsc_khz(void)
{
	uint64_t khz = 1000000ull << 32;

	if (!kvmclock_enable()) {
		return 0;
	}
	khz /= clock_page.tsc_to_ns_multiplier;
	return clock_page.tsc_shift < 0 ? khz << -clock_page.tsc_shift
					: khz >> clock_page.tsc_shift;
}
