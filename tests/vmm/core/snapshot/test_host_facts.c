/* SPDX-License-Identifier: Apache-2.0 */
/* Can a guest go on here: what differs is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/core/kvm/x86_64/cpuid.h"
#include "vmm/core/snapshot/host_facts.h"

static void set_text(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	assert_non_null(*field);
}

static void this_host_is_like_itself(void **state)
{
	Bulkhead__Snapshot__Host *host = host_facts_new();
	struct host_facts_comparison comparison;
	struct error err = ERROR_INIT;

	(void)state;
	assert_non_null(host);
	assert_int_equal(strlen(host->cpu_vendor), 12);
	assert_true(host->kernel_release[0]);
	assert_int_equal(host_facts_compare(host, &comparison, &err), 0);
	assert_int_equal(comparison.risk_count, 0);
	bulkhead__snapshot__host__free_unpacked(host, NULL);
}

static void another_vendor_is_refused_by_name(void **state)
{
	Bulkhead__Snapshot__Host *host = host_facts_new();
	struct host_facts_comparison comparison;
	struct error err = ERROR_INIT;

	(void)state;
	set_text(&host->cpu_vendor, "SomebodyElse");
	assert_int_equal(host_facts_compare(host, &comparison, &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "\"SomebodyElse\""));
	set_text(&host->cpu_vendor, "");
	assert_int_equal(host_facts_compare(host, &comparison, &err), -ENOTSUP);
	bulkhead__snapshot__host__free_unpacked(host, NULL);
}

static void another_model_is_a_risk(void **state)
{
	Bulkhead__Snapshot__Host *host = host_facts_new();
	struct host_facts_comparison comparison;
	struct error err = ERROR_INIT;
	char longest[5000];

	(void)state;
	set_text(&host->cpu_model, "Abacus 9000");
	assert_int_equal(host_facts_compare(host, &comparison, &err), 0);
	assert_int_equal(comparison.risk_count, 1);
	assert_non_null(strstr(comparison.risks[0], "Abacus 9000"));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	set_text(&host->cpu_model, longest);
	assert_int_equal(host_facts_compare(host, &comparison, &err), 0);
	assert_true(strlen(comparison.risks[0]) < sizeof(comparison.risks[0]));
	bulkhead__snapshot__host__free_unpacked(host, NULL);
}

/* NULL: this machine cannot say; why was printed. */
static struct kvm_cpuid2 *supported(void)
{
	cleanup_fd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct error err = ERROR_INIT;
	struct kvm_cpuid2 *cpuid;

	if (fd < 0) {
		printf("skip: no access to /dev/kvm\n");
		return NULL;
	}
	cpuid = cpuid_supported(fd, &err);
	if (!cpuid)
		fail_msg("%s", err.message);
	return cpuid;
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == 0)
			return &cpuid->entries[i];
	fail_msg("KVM tells nothing of leaf 0x%x", function);
	return NULL;
}

static void what_this_host_supports_is_taken(void **state)
{
	cleanup_free struct kvm_cpuid2 *host = supported();
	struct kvm_cpuid2 nothing = {.nent = 0};
	struct error err = ERROR_INIT;

	(void)state;
	if (!host)
		skip();
	if (host_facts_check_cpuid(host, host, &err) != 0)
		fail_msg("%s", err.message);
	/* A guest that was given nothing lacks nothing. */
	assert_int_equal(host_facts_check_cpuid(host, &nothing, &err), 0);
}

static void every_feature_that_is_missing_is_refused(void **state)
{
	static const struct {
		uint32_t function;
		size_t offset;
		uint32_t always; /* KVM offers these whatever the host has */
		const char *name;
	} words[] = {
		{0x1, offsetof(struct kvm_cpuid_entry2, ecx),
		 1U << 3 | 1U << 21 | 1U << 24 | 1U << 27 | 1U << 31, "leaf 1 ecx"},
		{0x1, offsetof(struct kvm_cpuid_entry2, edx), 1U << 28, "leaf 1 edx"},
		{0x7, offsetof(struct kvm_cpuid_entry2, ebx), 0, "leaf 7 ebx"},
		{0x7, offsetof(struct kvm_cpuid_entry2, ecx), 1U << 4, "leaf 7 ecx"},
		{0x80000001, offsetof(struct kvm_cpuid_entry2, edx), 0, "leaf 0x80000001 edx"},
	};
	cleanup_free struct kvm_cpuid2 *host = supported();
	cleanup_free struct kvm_cpuid2 *cpuid = host ? cpuid_copy(host) : NULL;
	unsigned refused = 0;

	(void)state;
	if (!cpuid)
		skip();
	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
		void *word = (char *)find(cpuid, words[i].function) + words[i].offset;
		uint32_t have, given;

		memcpy(&have, word, sizeof(have));
		for (unsigned bit = 0; bit < 32; bit++) {
			struct error err = ERROR_INIT;

			given = have | 1U << bit;
			memcpy(word, &given, sizeof(given));
			if ((have | words[i].always) & 1U << bit) {
				assert_int_equal(host_facts_check_cpuid(host, cpuid, &err), 0);
			} else {
				assert_int_equal(host_facts_check_cpuid(host, cpuid, &err),
						 -ENOTSUP);
				assert_non_null(strstr(err.message, words[i].name));
				refused++;
			}
		}
		memcpy(word, &have, sizeof(have));
	}
	assert_true(refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_host_is_like_itself),
		cmocka_unit_test(another_vendor_is_refused_by_name),
		cmocka_unit_test(another_model_is_a_risk),
		cmocka_unit_test(what_this_host_supports_is_taken),
		cmocka_unit_test(every_feature_that_is_missing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
