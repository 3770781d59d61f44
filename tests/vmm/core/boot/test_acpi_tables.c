/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/boot/acpi_tables.h"

#include <errno.h>

#include "tests/vmm/core/boot/boot_fixture.h"
#include "vmm/core/boot/acpi_area.h"
#include "vmm/core/boot/boot.h"
#include "vmm/core/platform/memory_map.h"

struct tables {
	struct guest_memory memory;
	const uint8_t *ram;
	uint64_t rsdp_gpa;
};

static uint64_t field(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static uint8_t sum(const uint8_t *bytes, size_t length)
{
	uint8_t total = 0;

	for (size_t i = 0; i < length; i++)
		total = (uint8_t)(total + bytes[i]);
	return total;
}

/* The table of that signature, found as a kernel finds it: RSDP, XSDT, entries. */
static const uint8_t *find_table(const struct tables *tables, const char *signature)
{
	const uint8_t *xsdt = tables->ram + field(tables->ram + tables->rsdp_gpa + 24, 8);

	for (size_t at = 36; at < field(xsdt + 4, 4); at += 8) {
		const uint8_t *table = tables->ram + field(xsdt + at, 8);

		if (memcmp(table, signature, 4) == 0)
			return table;
	}
	fail_msg("no table %s", signature);
	return NULL;
}

static struct tables write_tables(unsigned cpus_boot, unsigned cpus_max)
{
	struct tables tables = {.memory = fixture_memory_new(MIB(2))};

	tables.ram = tables.memory.regions[0].hva;
	assert_int_equal(
		acpi_tables_write(&tables.memory, cpus_boot, cpus_max, &tables.rsdp_gpa, NULL), 0);
	return tables;
}

static void the_rsdp_is_found_where_kernels_search(void **state)
{
	struct tables tables = write_tables(1, 1);
	const uint8_t *rsdp = tables.ram + tables.rsdp_gpa;

	(void)state;
	assert_int_equal(tables.rsdp_gpa, MAP_ACPI_START);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	fixture_memory_free(&tables.memory);
}

static void every_table_has_a_right_checksum(void **state)
{
	static const char *const signatures[] = {"FACP", "APIC", "MCFG"};
	struct tables tables = write_tables(2, 4);
	const uint8_t *dsdt = tables.ram + field(find_table(&tables, "FACP") + 140, 8);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const uint8_t *table = find_table(&tables, signatures[i]);

		assert_int_equal(sum(table, field(table + 4, 4)), 0);
	}
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_int_equal(sum(dsdt, field(dsdt + 4, 4)), 0);
	fixture_memory_free(&tables.memory);
}

static void the_fadt_names_the_fixed_hardware(void **state)
{
	struct tables tables = write_tables(1, 1);
	const uint8_t *fadt = find_table(&tables, "FACP");
	uint64_t flags = field(fadt + 112, 4);

	(void)state;
	assert_int_equal(field(fadt + 4, 4), 276);
	assert_int_equal(field(fadt + 46, 2), GSI_ACPI_SCI);
	assert_int_equal(field(fadt + 48, 4), 0); /* no SMI command: always in ACPI mode */
	assert_int_equal(field(fadt + 56, 4), PORT_ACPI_PM1_EVENT);
	assert_int_equal(field(fadt + 64, 4), PORT_ACPI_PM1_CONTROL);
	assert_int_equal(field(fadt + 76, 4), PORT_ACPI_PM_TIMER);
	assert_int_equal(field(fadt + 80, 4), PORT_ACPI_GPE0);
	assert_int_equal(field(fadt + 120, 8), PORT_ACPI_RESET);
	assert_int_equal(fadt[128], 6);
	assert_true(flags & 1U << 10);
	assert_true(flags & 1U << 8);
	assert_false(flags & 1U << 4);	/* the power button is fixed hardware */
	assert_false(flags & 1U << 20); /* not hardware-reduced */
	assert_memory_equal(tables.ram + field(fadt + 36, 4), "FACS", 4);
	assert_int_equal(field(fadt + 36, 4) % 64, 0);
	fixture_memory_free(&tables.memory);
}

static void the_madt_enables_boot_cpus_and_offers_the_others(void **state)
{
	struct tables tables = write_tables(2, 3);
	const uint8_t *madt = find_table(&tables, "APIC");
	unsigned enabled = 0, capable = 0, overrides = 0;

	(void)state;
	for (size_t at = 44; at < field(madt + 4, 4); at += madt[at + 1]) {
		assert_true(madt[at + 1] >= 2);
		if (madt[at] == 0 && field(madt + at + 4, 4) == 1)
			enabled++;
		if (madt[at] == 0 && field(madt + at + 4, 4) == 2)
			capable++;
		if (madt[at] == 1)
			assert_int_equal(field(madt + at + 4, 4), MAP_IOAPIC);
		if (madt[at] == 2)
			overrides++;
	}
	assert_int_equal(enabled, 2);
	assert_int_equal(capable, 1);
	assert_int_equal(overrides, 2);
	fixture_memory_free(&tables.memory);
}

static void the_mcfg_covers_bus_0(void **state)
{
	struct tables tables = write_tables(1, 1);
	const uint8_t *mcfg = find_table(&tables, "MCFG");

	(void)state;
	assert_int_equal(field(mcfg + 44, 8), MAP_ECAM_START);
	assert_int_equal(field(mcfg + 52, 4), 0);
	fixture_memory_free(&tables.memory);
}

static void the_vm_generation_id_is_published_and_random(void **state)
{
	struct tables first = write_tables(1, 1), second = write_tables(1, 1);
	const uint8_t *dsdt = first.ram + field(find_table(&first, "FACP") + 140, 8);
	/* Name (ADDR, Package (2) { 0x000FF000, 0 }) */
	static const uint8_t aml[] = {0x08, 'A',  'D',	'D',  'R',  0x12, 0x08,
				      0x02, 0x0c, 0x00, 0xf0, 0x0f, 0x00, 0x00};

	(void)state;
	assert_int_equal(boot_vmgenid_gpa(), 0xff000);
	assert_non_null(memmem(dsdt, field(dsdt + 4, 4), aml, sizeof(aml)));
	assert_memory_not_equal(first.ram + boot_vmgenid_gpa(), second.ram + boot_vmgenid_gpa(),
				16);
	fixture_memory_free(&first.memory);
	fixture_memory_free(&second.memory);
}

static void the_most_cpus_fit_and_more_are_refused(void **state)
{
	struct tables tables = write_tables(ACPI_MAX_CPUS, ACPI_MAX_CPUS);
	uint64_t gpa;

	(void)state;
	assert_int_equal(acpi_tables_write(&tables.memory, 0, 1, &gpa, NULL), -EINVAL);
	assert_int_equal(acpi_tables_write(&tables.memory, 2, 1, &gpa, NULL), -EINVAL);
	assert_int_equal(acpi_tables_write(&tables.memory, 1, 255, &gpa, NULL), -EINVAL);
	fixture_memory_free(&tables.memory);
}

static void a_full_area_is_reported(void **state)
{
	uint8_t bytes[128];
	struct acpi_area area = {.hva = bytes, .size_bytes = sizeof(bytes)};
	uint64_t gpa;

	(void)state;
	assert_non_null(acpi_area_take(&area, 65, &gpa));
	assert_null(acpi_area_take(&area, 1, &gpa));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rsdp_is_found_where_kernels_search),
		cmocka_unit_test(every_table_has_a_right_checksum),
		cmocka_unit_test(the_fadt_names_the_fixed_hardware),
		cmocka_unit_test(the_madt_enables_boot_cpus_and_offers_the_others),
		cmocka_unit_test(the_mcfg_covers_bus_0),
		cmocka_unit_test(the_vm_generation_id_is_published_and_random),
		cmocka_unit_test(the_most_cpus_fit_and_more_are_refused),
		cmocka_unit_test(a_full_area_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
