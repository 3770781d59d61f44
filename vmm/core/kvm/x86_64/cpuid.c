/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm/x86_64/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ipc/cleanup.h"

#define CPUID_MAX_ENTRIES 256U

/* Leaf 1 */
#define CPUID_1_ECX_MONITOR	 (1U << 3)
#define CPUID_1_ECX_X2APIC	 (1U << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1U << 24)
#define CPUID_1_ECX_HYPERVISOR	 (1U << 31)
#define CPUID_1_EDX_HTT		 (1U << 28)

/* Bits that hold every APIC id below count. */
static unsigned cpuid_apic_id_bits(unsigned count)
{
	unsigned bits = 0;

	while ((1U << bits) < count)
		bits++;
	return bits;
}

static void cpuid_set_leaf_1(struct kvm_cpuid_entry2 *entry, int system_fd, unsigned index,
			     unsigned count)
{
	entry->ebx = (entry->ebx & 0x0000ff00U) | (index << 24) |
		     ((1U << cpuid_apic_id_bits(count)) << 16);
	entry->ecx |= CPUID_1_ECX_HYPERVISOR | CPUID_1_ECX_X2APIC;
	entry->ecx &= ~CPUID_1_ECX_MONITOR;
	if (ioctl(system_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		entry->ecx |= CPUID_1_ECX_TSC_DEADLINE;
	if (count > 1)
		entry->edx |= CPUID_1_EDX_HTT;
	else
		entry->edx &= ~CPUID_1_EDX_HTT;
}

/* Deterministic cache parameters: caches shared by one core, last level by all. */
static void cpuid_set_leaf_4(struct kvm_cpuid_entry2 *entry, unsigned count)
{
	unsigned level = (entry->eax >> 5) & 7;
	unsigned sharing = level >= 3 ? (1U << cpuid_apic_id_bits(count)) - 1 : 0;

	if ((entry->eax & 0x1f) == 0)
		return;
	entry->eax &= 0x00003fffU;
	entry->eax |= sharing << 14;
	entry->eax |= ((1U << cpuid_apic_id_bits(count)) - 1) << 26;
}

/* Extended topology (0xb, 0x1f): level 0 a thread, level 1 the cores of the package. */
static void cpuid_set_topology(struct kvm_cpuid_entry2 *entry, unsigned index, unsigned count)
{
	entry->edx = index;
	entry->ecx = entry->index & 0xff;
	entry->eax = entry->ebx = 0;
	if (entry->index == 0) {
		entry->ebx = 1;
		entry->ecx |= 1U << 8;
	} else if (entry->index == 1) {
		entry->eax = cpuid_apic_id_bits(count);
		entry->ebx = count;
		entry->ecx |= 2U << 8;
	}
}

static void cpuid_set_entry(struct kvm_cpuid_entry2 *entry, int system_fd, unsigned index,
			    unsigned count)
{
	switch (entry->function) {
	case 0x1:
		cpuid_set_leaf_1(entry, system_fd, index, count);
		break;
	case 0x4:
	case 0x8000001d:
		cpuid_set_leaf_4(entry, count);
		break;
	case 0xa: /* no performance counters: their state is not part of a snapshot */
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		break;
	case 0xb:
	case 0x1f:
		cpuid_set_topology(entry, index, count);
		break;
	case 0x80000008:
		entry->ecx = (cpuid_apic_id_bits(count) << 12) | (count - 1);
		break;
	case 0x8000001e:
		entry->eax = index;
		entry->ebx = index; /* one thread a core */
		entry->ecx = 0;	    /* one node */
		break;
	default:
		break;
	}
}

static bool cpuid_has(const struct kvm_cpuid2 *cpuid, uint32_t function, uint32_t index)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return true;
	return false;
}

/* Both levels of leaf 0xb must exist, also where the host does not have them. */
static void cpuid_add_topology(struct kvm_cpuid2 *cpuid)
{
	for (uint32_t level = 0; level < 2; level++) {
		if (cpuid_has(cpuid, 0xb, level) || cpuid->nent >= CPUID_MAX_ENTRIES)
			continue;
		cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
			.function = 0xb,
			.index = level,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
	}
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0 && cpuid->entries[i].eax < 0xb)
			cpuid->entries[i].eax = 0xb;
}

struct kvm_cpuid2 *cpuid_copy(const struct kvm_cpuid2 *cpuid)
{
	size_t bytes = sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]);
	struct kvm_cpuid2 *copy = malloc(bytes);

	if (copy)
		memcpy(copy, cpuid, bytes);
	return copy;
}

struct kvm_cpuid2 *cpuid_supported(int system_fd, struct error *err)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	cpuid->nent = CPUID_MAX_ENTRIES;
	if (ioctl(system_fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0)
		return cpuid;
	error_set_errno(err, -errno, "KVM_GET_SUPPORTED_CPUID");
	free(cpuid);
	return NULL;
}

int cpuid_setup_vcpu(const struct kvm_cpuid2 *supported, int system_fd, int vcpu_fd, unsigned index,
		     unsigned cpu_count, struct kvm_cpuid2 **result, struct error *err)
{
	cleanup_free struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(cpuid, supported,
	       sizeof(*supported) + supported->nent * sizeof(supported->entries[0]));
	cpuid_add_topology(cpuid);
	for (unsigned i = 0; i < cpuid->nent; i++)
		cpuid_set_entry(&cpuid->entries[i], system_fd, index, cpu_count);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		return error_set_errno(err, -errno, "KVM_SET_CPUID2");
	*result = cpuid_copy(cpuid);
	return *result ? 0 : error_set(err, -ENOMEM, "out of memory");
}
