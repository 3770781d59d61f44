/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/pci_hotplug.h"

#include <errno.h>

#include "tests/vmm/core/platform/platform_fixture.h"

#define PLUGGED 0
#define UNPLUG	4
#define EJECT	8

struct hotplug_case {
	struct pci_hotplug *hotplug;
	uint32_t ejected;
};

static void on_eject(void *opaque, unsigned slot)
{
	((struct hotplug_case *)opaque)->ejected |= 1U << slot;
}

static uint32_t in(struct hotplug_case *test, unsigned offset)
{
	return fixture_read(&pci_hotplug_ops, test->hotplug, offset, 4);
}

static int setup(void **state)
{
	static struct hotplug_case test;

	test = (struct hotplug_case){.hotplug = pci_hotplug_new(on_eject, &test)};
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	pci_hotplug_destroy(((struct hotplug_case *)*state)->hotplug);
	return 0;
}

static void what_was_plugged_is_told_once(void **state)
{
	struct hotplug_case *test = *state;

	pci_hotplug_set_plugged(test->hotplug, 3);
	pci_hotplug_set_plugged(test->hotplug, 31);
	assert_int_equal(in(test, PLUGGED), 0x80000008);
	assert_int_equal(in(test, PLUGGED), 0);
	assert_int_equal(in(test, UNPLUG), 0);
}

static void an_unplug_request_is_told_once(void **state)
{
	struct hotplug_case *test = *state;

	pci_hotplug_set_unplug_wanted(test->hotplug, 5);
	assert_int_equal(in(test, UNPLUG), 1 << 5);
	assert_int_equal(in(test, UNPLUG), 0);
}

static void byte_reads_take_only_their_slots(void **state)
{
	struct hotplug_case *test = *state;

	pci_hotplug_set_plugged(test->hotplug, 1);
	pci_hotplug_set_plugged(test->hotplug, 9);
	assert_int_equal(fixture_read(&pci_hotplug_ops, test->hotplug, 1, 1), 2);
	assert_int_equal(in(test, PLUGGED), 2);
}

static void ejected_slots_are_reported_but_never_the_host_bridge(void **state)
{
	struct hotplug_case *test = *state;

	fixture_write(&pci_hotplug_ops, test->hotplug, EJECT, 4, 0x13);
	assert_int_equal(test->ejected, 0x12);
	fixture_write(&pci_hotplug_ops, test->hotplug, PLUGGED, 4, 0xffffffff);
	fixture_write(&pci_hotplug_ops, test->hotplug, EJECT + 3, 4, 0x80);
	assert_int_equal(test->ejected, 0x80000012);
}

static void state_is_saved_and_the_host_bridge_refused(void **state)
{
	struct hotplug_case *test = *state;
	Bulkhead__Platform__PciHotplug saved = BULKHEAD__PLATFORM__PCI_HOTPLUG__INIT;

	pci_hotplug_set_plugged(test->hotplug, 7);
	pci_hotplug_save(test->hotplug, &saved);
	pci_hotplug_reset(test->hotplug);
	assert_int_equal(in(test, PLUGGED), 0);
	assert_int_equal(pci_hotplug_restore(test->hotplug, &saved, NULL), 0);
	assert_int_equal(in(test, PLUGGED), 1 << 7);
	saved.unplug_wanted = 1;
	assert_int_equal(pci_hotplug_restore(test->hotplug, &saved, NULL), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_plugged_is_told_once),
		TEST(an_unplug_request_is_told_once),
		TEST(byte_reads_take_only_their_slots),
		TEST(ejected_slots_are_reported_but_never_the_host_bridge),
		TEST(state_is_saved_and_the_host_bridge_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
