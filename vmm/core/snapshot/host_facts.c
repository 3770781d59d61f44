/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/host_facts.h"

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "ipc/cleanup.h"

static void facts_read_vendor(char vendor[13])
{
	unsigned eax, ebx = 0, ecx = 0, edx = 0;

	__cpuid(0, eax, ebx, ecx, edx);
	memcpy(vendor, &ebx, 4);
	memcpy(vendor + 4, &edx, 4);
	memcpy(vendor + 8, &ecx, 4);
	vendor[12] = '\0';
}

static void facts_read_model(char model[49])
{
	unsigned registers[12];

	for (unsigned i = 0; i < 3; i++)
		__cpuid(0x80000002 + i, registers[4 * i], registers[4 * i + 1],
			registers[4 * i + 2], registers[4 * i + 3]);
	memcpy(model, registers, 48);
	model[48] = '\0';
}

Bulkhead__Snapshot__Host *host_facts_new(void)
{
	Bulkhead__Snapshot__Host *host = calloc(1, sizeof(*host));
	char vendor[13], model[49];
	struct utsname name;

	if (!host)
		return NULL;
	bulkhead__snapshot__host__init(host);
	facts_read_vendor(vendor);
	facts_read_model(model);
	if (uname(&name) < 0)
		name.release[0] = '\0';
	host->cpu_vendor = strdup(vendor);
	host->cpu_model = strdup(model);
	host->kernel_release = strdup(name.release);
	if (host->cpu_vendor && host->cpu_model && host->kernel_release)
		return host;
	bulkhead__snapshot__host__free_unpacked(host, NULL);
	return NULL;
}

static void comparison_add(struct host_facts_comparison *comparison, const char *what,
			   const char *from, const char *here)
{
	if (comparison->risk_count == HOST_FACTS_MAX_RISKS)
		return;
	(void)snprintf(comparison->risks[comparison->risk_count++], sizeof(comparison->risks[0]),
		       "%s: the snapshot was made on \"%.80s\", this is \"%.80s\"", what, from,
		       here);
}

int host_facts_compare(const Bulkhead__Snapshot__Host *from,
		       struct host_facts_comparison *comparison, struct error *err)
{
	char vendor[13], model[49];

	comparison->risk_count = 0;
	facts_read_vendor(vendor);
	facts_read_model(model);
	if (strcmp(from->cpu_vendor, vendor) != 0)
		return error_set(
			err, -ENOTSUP,
			"the snapshot was made on a processor of \"%.12s\", this one is of \"%s\"",
			from->cpu_vendor, vendor);
	if (strcmp(from->cpu_model, model) != 0)
		comparison_add(comparison, "processor", from->cpu_model, model);
	return 0;
}

static const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid2 *cpuid, uint32_t function,
						 uint32_t index)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

/* The leaves and registers that hold feature bits, and bits that KVM supports without listing them.
 */
static const struct {
	uint32_t function, index;
	size_t offset; /* of the register in struct kvm_cpuid_entry2 */
	uint32_t always;
	const char *name;
} feature_words[] = {
	/* monitor, x2apic, tsc deadline, hypervisor; osxsave follows CR4 */
	{0x1, 0, offsetof(struct kvm_cpuid_entry2, ecx),
	 (1U << 3) | (1U << 21) | (1U << 24) | (1U << 27) | (1U << 31), "leaf 1 ecx"},
	{0x1, 0, offsetof(struct kvm_cpuid_entry2, edx), 1U << 28, "leaf 1 edx"},
	{0x7, 0, offsetof(struct kvm_cpuid_entry2, ebx), 0, "leaf 7 ebx"},
	{0x7, 0, offsetof(struct kvm_cpuid_entry2, ecx), 1U << 4, "leaf 7 ecx"},
	{0x7, 0, offsetof(struct kvm_cpuid_entry2, edx), 0, "leaf 7 edx"},
	{0x80000001, 0, offsetof(struct kvm_cpuid_entry2, ecx), 0, "leaf 0x80000001 ecx"},
	{0x80000001, 0, offsetof(struct kvm_cpuid_entry2, edx), 0, "leaf 0x80000001 edx"},
	{0x40000001, 0, offsetof(struct kvm_cpuid_entry2, eax), 0, "KVM's leaf 0x40000001 eax"},
};

static uint32_t cpuid_word(const struct kvm_cpuid_entry2 *entry, size_t offset)
{
	uint32_t value = 0;

	if (entry)
		memcpy(&value, (const char *)entry + offset, sizeof(value));
	return value;
}

int host_facts_check_cpuid(const struct kvm_cpuid2 *host, const struct kvm_cpuid2 *guest,
			   struct error *err)
{
	for (size_t i = 0; i < sizeof(feature_words) / sizeof(*feature_words); i++) {
		uint32_t function = feature_words[i].function, index = feature_words[i].index;
		size_t offset = feature_words[i].offset;
		uint32_t given = cpuid_word(cpuid_find(guest, function, index), offset);
		uint32_t have = cpuid_word(cpuid_find(host, function, index), offset);
		uint32_t missing = given & ~(have | feature_words[i].always);

		if (missing)
			return error_set(
				err, -ENOTSUP,
				"the guest was given processor features that this host lacks: "
				"CPUID %s, bits 0x%x",
				feature_words[i].name, missing);
	}
	return 0;
}
