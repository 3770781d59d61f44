/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/acpi_pm.h"

#include <errno.h>

#include "tests/vmm/core/platform/platform_fixture.h"

#define STATUS	0
#define ENABLE	2
#define CONTROL 4
#define TIMER	8

#define POWER_BUTTON 0x100

static uint64_t fake_now_ns;

static uint64_t fake_clock(void)
{
	return fake_now_ns;
}

struct pm_case {
	struct acpi_pm *pm;
	struct fixture_irq sci;
	unsigned offs, resets;
};

static void on_off(void *opaque)
{
	((struct pm_case *)opaque)->offs++;
}

static void on_reset(void *opaque)
{
	((struct pm_case *)opaque)->resets++;
}

static uint32_t in(struct pm_case *test, unsigned offset, unsigned bytes)
{
	return fixture_read(&acpi_pm_fixed_ops, test->pm, offset, bytes);
}

static void out(struct pm_case *test, unsigned offset, unsigned bytes, uint32_t value)
{
	fixture_write(&acpi_pm_fixed_ops, test->pm, offset, bytes, value);
}

static int setup(void **state)
{
	static struct pm_case test;
	struct acpi_pm_options options = {
		.sci = {.set = fixture_irq_set, .opaque = &test.sci, .gsi = 9},
		.power_off = on_off,
		.reset = on_reset,
		.opaque = &test,
		.now_ns = fake_clock,
	};

	fake_now_ns = 123456789;
	test = (struct pm_case){.pm = acpi_pm_new(&options)};
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	acpi_pm_destroy(((struct pm_case *)*state)->pm);
	return 0;
}

static void the_power_button_raises_the_sci_until_its_status_is_cleared(void **state)
{
	struct pm_case *test = *state;

	acpi_pm_power_button(test->pm);
	assert_false(test->sci.level);
	out(test, ENABLE, 2, POWER_BUTTON);
	assert_true(test->sci.level);
	assert_int_equal(test->sci.gsi, 9);
	assert_int_equal(in(test, STATUS, 2), POWER_BUTTON);
	out(test, STATUS, 2, POWER_BUTTON);
	assert_false(test->sci.level);
	assert_int_equal(in(test, STATUS, 2), 0);
}

static void a_general_purpose_event_raises_the_sci(void **state)
{
	struct pm_case *test = *state;

	fixture_write(&acpi_pm_gpe0_ops, test->pm, 2, 1, 1 << 5);
	acpi_pm_notify_gpe(test->pm, 5);
	assert_true(test->sci.level);
	assert_int_equal(fixture_read(&acpi_pm_gpe0_ops, test->pm, 0, 4), 0x00200020);
	fixture_write(&acpi_pm_gpe0_ops, test->pm, 0, 1, 1 << 5);
	assert_false(test->sci.level);
	acpi_pm_notify_gpe(test->pm, 15);
	assert_false(test->sci.level);
	assert_int_equal(fixture_read(&acpi_pm_gpe0_ops, test->pm, 1, 1), 0x80);
}

static void soft_off_is_reported_once(void **state)
{
	struct pm_case *test = *state;

	out(test, CONTROL, 2, 5 << 10); /* type without enable */
	assert_int_equal(test->offs, 0);
	out(test, CONTROL, 2, 5 << 10 | 1 << 13);
	assert_int_equal(test->offs, 1);
	assert_int_equal(in(test, CONTROL, 2), 5 << 10 | 1); /* SLP_EN reads 0, SCI_EN 1 */
	out(test, CONTROL, 2, 1 << 10 | 1 << 13);
	assert_int_equal(test->offs, 1);
}

static void soft_off_works_by_byte_accesses(void **state)
{
	struct pm_case *test = *state;

	out(test, CONTROL + 1, 1, (5 << 2) | (1 << 5));
	assert_int_equal(test->offs, 1);
}

static void the_reset_register_resets(void **state)
{
	struct pm_case *test = *state;

	fixture_write(&acpi_pm_reset_ops, test->pm, 0, 1, 2);
	assert_int_equal(test->resets, 0);
	fixture_write(&acpi_pm_reset_ops, test->pm, 0, 1, 6);
	assert_int_equal(test->resets, 1);
	acpi_pm_reset(test->pm);
	fixture_write(&acpi_pm_reset_ops, test->pm, 0, 1, 6);
	assert_int_equal(test->resets, 2);
}

static void the_timer_runs_at_3_579545_mhz_and_wraps(void **state)
{
	struct pm_case *test = *state;

	assert_int_equal(in(test, TIMER, 4), 0);
	fake_now_ns += 1000000000;
	assert_in_range(in(test, TIMER, 4), 3579544, 3579546);
	fake_now_ns += 1199ULL * 1000000000;
	assert_in_range(in(test, TIMER, 4), (uint32_t)(1200ULL * 3579545) - 1,
			(uint32_t)(1200ULL * 3579545) + 1);
}

static void the_timer_goes_on_where_it_was_saved(void **state)
{
	struct pm_case *test = *state;
	Bulkhead__Platform__AcpiPm saved = BULKHEAD__PLATFORM__ACPI_PM__INIT;

	fake_now_ns += 2000000000;
	acpi_pm_power_button(test->pm);
	out(test, ENABLE, 2, POWER_BUTTON);
	acpi_pm_save(test->pm, &saved);
	acpi_pm_reset(test->pm);
	assert_false(test->sci.level);
	fake_now_ns = 77; /* another host */
	assert_int_equal(acpi_pm_restore(test->pm, &saved, NULL), 0);
	assert_int_equal(in(test, TIMER, 4), saved.timer);
	assert_true(test->sci.level);
	assert_int_equal(in(test, STATUS, 2), POWER_BUTTON);
}

static void hostile_saved_state_is_refused(void **state)
{
	struct pm_case *test = *state;
	Bulkhead__Platform__AcpiPm saved = BULKHEAD__PLATFORM__ACPI_PM__INIT;

	saved.gpe0_enable = 0x10000;
	assert_int_equal(acpi_pm_restore(test->pm, &saved, NULL), -EINVAL);
	saved.gpe0_enable = 0;
	saved.pm1_control = 0x2000;
	assert_int_equal(acpi_pm_restore(test->pm, &saved, NULL), -EINVAL);
	saved.pm1_control = 0;
	assert_int_equal(acpi_pm_restore(test->pm, &saved, NULL), 0);
}

static void wide_reads_across_registers_stay_inside(void **state)
{
	struct pm_case *test = *state;

	assert_int_equal(in(test, CONTROL, 4), 1);
	fixture_write(&acpi_pm_fixed_ops, test->pm, TIMER, 8, 0xffffffff);
	fixture_write(&acpi_pm_gpe0_ops, test->pm, 3, 4, 0xffffffff);
	assert_int_equal(fixture_read(&acpi_pm_gpe0_ops, test->pm, 2, 2), 0xff00);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_power_button_raises_the_sci_until_its_status_is_cleared),
		TEST(a_general_purpose_event_raises_the_sci),
		TEST(soft_off_is_reported_once),
		TEST(soft_off_works_by_byte_accesses),
		TEST(the_reset_register_resets),
		TEST(the_timer_runs_at_3_579545_mhz_and_wraps),
		TEST(the_timer_goes_on_where_it_was_saved),
		TEST(hostile_saved_state_is_refused),
		TEST(wide_reads_across_registers_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
