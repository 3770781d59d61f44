/* SPDX-License-Identifier: Apache-2.0 */
#include "topology.h"

#include <stdbool.h>

#include "cpu.h"
#include "guest.h"
#include "lapic.h"
#include "print.h"

#define LEAF_FEATURES	0x1u
#define LEAF_TOPOLOGY	0xBu
#define LEVEL_TYPE_SMT	1
#define LEVEL_TYPE_CORE 2
#define FEATURE_HTT	(1u << 28)

static uint32_t topology_level_type(const struct cpuid_result *level)
{
	return (level->ecx >> 8) & 0xFF;
}

void topology_read_ids(struct cpu_report *report)
{
	report->lapic_id = lapic_id();
	report->initial_apic_id = (uint8_t)(cpu_cpuid(LEAF_FEATURES, 0).ebx >> 24);
	if (cpu_cpuid(0, 0).eax < LEAF_TOPOLOGY)
		return;
	struct cpuid_result smt = cpu_cpuid(LEAF_TOPOLOGY, 0);
	struct cpuid_result core = cpu_cpuid(LEAF_TOPOLOGY, 1);

	report->x2apic_id = smt.edx;
	report->smt_level_type = topology_level_type(&smt);
	report->core_level_type = topology_level_type(&core);
	report->package_shift = core.eax & 0x1F;
	report->package_cpus = core.ebx & 0xFFFF;
}

static void topology_check_ids(const struct cpu_report *reports,
			       const struct acpi_interrupt_model *model)
{
	for (uint32_t i = 0; i < model->cpu_count; i++) {
		print("cpu %u apic id %u cpuid %u x2apic %u shift %u package %u\n", i,
		      reports[i].lapic_id, reports[i].initial_apic_id, reports[i].x2apic_id,
		      reports[i].package_shift, reports[i].package_cpus);
		if (reports[i].lapic_id != model->cpu_apic_id[i] ||
		    reports[i].initial_apic_id != model->cpu_apic_id[i]) {
			test_fail("apic_ids_agree", "cpu %u", i);
			return;
		}
	}
	test_ok("apic_ids_agree");
}

static void topology_check_packages(const struct cpu_report *reports,
				    const struct acpi_interrupt_model *model)
{
	for (uint32_t i = 0; i < model->cpu_count; i++) {
		const struct cpu_report *report = &reports[i];
		uint32_t in_package = 0;

		for (uint32_t j = 0; j < model->cpu_count; j++) {
			in_package += reports[j].x2apic_id >> report->package_shift ==
				      report->x2apic_id >> report->package_shift;
		}
		if (report->x2apic_id != report->lapic_id ||
		    report->core_level_type != LEVEL_TYPE_CORE ||
		    in_package != report->package_cpus) {
			test_fail("cpuid_topology_agrees", "cpu %u: %u in its package, says %u", i,
				  in_package, report->package_cpus);
			return;
		}
	}
	test_ok("cpuid_topology_agrees");
}

void topology_check(const struct cpu_report *reports, const struct acpi_interrupt_model *model)
{
	topology_check_ids(reports, model);
	if (model->cpu_count > 1)
		test_check("cpuid_says_multi_processor",
			   cpu_cpuid(LEAF_FEATURES, 0).edx & FEATURE_HTT, "HTT is clear");
	if (reports[0].smt_level_type != LEVEL_TYPE_SMT) {
		test_skip("cpuid_topology_agrees", "no leaf 0BH");
		return;
	}
	topology_check_packages(reports, model);
}
