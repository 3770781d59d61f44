/* SPDX-License-Identifier: Apache-2.0 */
/* What every vCPU is told to be: its place in the package, and that it is virtual. */
#include "tests/vmm/core/kvm/kvm_machine.h"

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid, uint32_t function,
					   uint32_t index)
{
	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

/* Bits that hold every APIC id. */
static unsigned id_bits(unsigned cpus)
{
	unsigned bits = 0;

	while ((1U << bits) < cpus)
		bits++;
	return bits;
}

static void check_topology(unsigned cpus)
{
	struct kvm_machine machine;

	kvm_machine_init(&machine, cpus);
	for (unsigned i = 0; i < cpus; i++) {
		const struct kvm_cpuid2 *cpuid = vcpu_set_cpuid(machine.set, i);
		const struct kvm_cpuid_entry2 *basic = find(cpuid, 1, 0);
		const struct kvm_cpuid_entry2 *threads = find(cpuid, 0xb, 0);
		const struct kvm_cpuid_entry2 *cores = find(cpuid, 0xb, 1);

		assert_true(find(cpuid, 0, 0)->eax >= 0xb);
		assert_non_null(basic);
		assert_int_equal(basic->ebx >> 24, i); /* initial APIC id */
		assert_int_equal((basic->ebx >> 16) & 0xff, 1U << id_bits(cpus));
		assert_int_equal((basic->edx >> 28) & 1, cpus > 1); /* more than one */
		assert_true(basic->ecx & 1U << 31);		    /* there is a hypervisor */
		assert_true(basic->ecx & 1U << 21);		    /* x2APIC */
		assert_false(basic->ecx & 1U << 3);		    /* no MONITOR */
		assert_non_null(threads);
		assert_non_null(cores);
		assert_int_equal(threads->edx, i); /* x2APIC id */
		assert_int_equal(cores->edx, i);
		assert_int_equal(threads->eax, 0);
		assert_int_equal(threads->ebx, 1);
		assert_int_equal(threads->ecx >> 8 & 0xff, 1); /* the level of threads */
		assert_int_equal(cores->eax, id_bits(cpus));
		assert_int_equal(cores->ebx, cpus);
		assert_int_equal(cores->ecx >> 8 & 0xff, 2); /* that of cores */
	}
	kvm_machine_destroy(&machine);
}

static void one_vcpu_is_alone(void **state)
{
	(void)state;
	check_topology(1);
}

static void vcpus_know_their_place(void **state)
{
	(void)state;
	check_topology(2);
	check_topology(3);
}

static void there_may_be_sixteen(void **state)
{
	(void)state;
	check_topology(VCPU_MAX);
}

static void there_is_a_signature_of_kvm_and_no_performance_counter(void **state)
{
	const struct kvm_cpuid_entry2 *signature, *counters;
	struct kvm_machine machine;

	(void)state;
	kvm_machine_init(&machine, 1);
	signature = find(vcpu_set_cpuid(machine.set, 0), 0x40000000, 0);
	counters = find(vcpu_set_cpuid(machine.set, 0), 0xa, 0);
	assert_non_null(signature);
	assert_int_equal(signature->ebx, 0x4b4d564b); /* "KVMK" */
	if (counters)
		assert_int_equal(counters->eax | counters->ebx | counters->edx, 0);
	kvm_machine_destroy(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_vcpu_is_alone),
		cmocka_unit_test(vcpus_know_their_place),
		cmocka_unit_test(there_may_be_sixteen),
		cmocka_unit_test(there_is_a_signature_of_kvm_and_no_performance_counter),
	};

	if (!kvm_machine_possible())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
