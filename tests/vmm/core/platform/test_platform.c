/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/vmm/core/platform/platform_fixture.h"
#include "vmm/core/platform/memory_map.h"

struct platform_case {
	uv_loop_t loop;
	struct bus *pio, *mmio;
	struct platform *platform;
	struct fixture_irq irq;
	unsigned offs, resets, panics;
	uint32_t ejected;
};

static void on_set_irq(void *opaque, uint32_t gsi, bool level)
{
	fixture_irq_set(&((struct platform_case *)opaque)->irq, gsi, level);
}

static void on_off(void *opaque)
{
	((struct platform_case *)opaque)->offs++;
}

static void on_reset(void *opaque)
{
	((struct platform_case *)opaque)->resets++;
}

static void on_panic(void *opaque)
{
	((struct platform_case *)opaque)->panics++;
}

static void on_eject(void *opaque, unsigned slot)
{
	((struct platform_case *)opaque)->ejected |= 1U << slot;
}

static struct platform_options options_for(struct platform_case *test)
{
	return (struct platform_options){
		.loop = &test->loop,
		.set_irq = on_set_irq,
		.power_off = on_off,
		.reset = on_reset,
		.panic = on_panic,
		.pci_eject = on_eject,
		.opaque = test,
	};
}

static int setup(void **state)
{
	struct platform_case *test = calloc(1, sizeof(*test));
	struct platform_options options = options_for(test);

	assert_int_equal(uv_loop_init(&test->loop), 0);
	test->pio = bus_new("pio");
	test->mmio = bus_new("mmio");
	test->platform = platform_new(test->pio, test->mmio, &options, NULL);
	assert_non_null(test->platform);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct platform_case *test = *state;

	platform_destroy(test->platform);
	(void)uv_run(&test->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&test->loop), 0);
	bus_destroy(test->pio);
	bus_destroy(test->mmio);
	free(test);
	return 0;
}

static void out(struct platform_case *test, uint16_t port, unsigned bytes, uint32_t value)
{
	(void)bus_write(test->pio, port, (const uint8_t *)&value, bytes);
}

static uint32_t in(struct platform_case *test, uint16_t port, unsigned bytes)
{
	uint32_t value = 0;

	(void)bus_read(test->pio, port, (uint8_t *)&value, bytes);
	return value;
}

static void each_way_to_reset_and_power_off_is_reported(void **state)
{
	struct platform_case *test = *state;

	out(test, PORT_I8042_COMMAND, 1, 0xfe);
	assert_int_equal(test->resets, 1);
	out(test, PORT_ACPI_RESET, 1, 6);
	assert_int_equal(test->resets, 2);
	out(test, PORT_ACPI_PM1_CONTROL, 2, 5 << 10 | 1 << 13);
	assert_int_equal(test->offs, 1);
	assert_int_equal(in(test, PORT_PVPANIC, 1), 3);
	out(test, PORT_PVPANIC, 1, 2);
	assert_int_equal(test->panics, 0);
	out(test, PORT_PVPANIC, 1, 1);
	assert_int_equal(test->panics, 1);
}

static void events_raise_the_sci(void **state)
{
	struct platform_case *test = *state;

	out(test, PORT_ACPI_GPE0 + 2, 2, 1 << GPE_PCI_HOTPLUG | 1 << GPE_VMGENID);
	platform_pci_plugged(test->platform, 4);
	assert_true(test->irq.level);
	assert_int_equal(test->irq.gsi, GSI_ACPI_SCI);
	assert_int_equal(in(test, PORT_PCI_HOTPLUG, 4), 1 << 4);
	platform_pci_request_unplug(test->platform, 4);
	assert_int_equal(in(test, PORT_PCI_HOTPLUG + 4, 4), 1 << 4);
	out(test, PORT_PCI_HOTPLUG + 8, 4, 1 << 4);
	assert_int_equal(test->ejected, 1 << 4);
	out(test, PORT_ACPI_GPE0, 2, 0xffff);
	assert_false(test->irq.level);
	platform_notify_vmgenid(test->platform);
	assert_int_equal(in(test, PORT_ACPI_GPE0, 2), 1 << GPE_VMGENID);
}

static void the_serial_port_reaches_its_backend(void **state)
{
	struct platform_case *test = *state;
	int fd = memfd_create("serial", MFD_CLOEXEC);
	struct serial_backend_options options = {SERIAL_BACKEND_STREAM, -1, fd};
	char byte = 0;

	assert_int_equal(platform_attach_serial(test->platform, &options, NULL), 0);
	assert_int_equal(platform_attach_serial(test->platform, &options, NULL), -EINVAL);
	out(test, PORT_COM1, 1, 'A');
	platform_destroy(test->platform);
	test->platform = NULL;
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'A');
	close(fd);
}

static void without_serial_port_its_ports_are_empty(void **state)
{
	struct platform_case *test = *state;
	struct platform_options options = options_for(test);

	assert_int_equal(in(test, PORT_COM1 + 5, 1), 0x60);
	platform_destroy(test->platform);
	options.no_serial = true;
	test->platform = platform_new(test->pio, test->mmio, &options, NULL);
	assert_non_null(test->platform);
	assert_int_equal(in(test, PORT_COM1 + 5, 1), 0xff);
	platform_reset(test->platform);
}

static void reset_brings_power_on_state(void **state)
{
	struct platform_case *test = *state;

	out(test, PORT_COM1 + 7, 1, 0x33);
	out(test, PORT_ACPI_PM1_EVENT + 2, 2, 0x100);
	platform_power_button(test->platform);
	assert_true(test->irq.level);
	platform_reset(test->platform);
	assert_false(test->irq.level);
	assert_int_equal(in(test, PORT_COM1 + 7, 1), 0);
	assert_int_equal(in(test, PORT_ACPI_PM1_EVENT, 4), 0);
}

static void a_saved_platform_is_restored(void **state)
{
	struct platform_case *test = *state;
	uint8_t *saved;
	size_t saved_bytes;

	out(test, PORT_COM1 + 7, 1, 0x33);
	out(test, PORT_CMOS_INDEX, 1, 0x50);
	out(test, PORT_CMOS_DATA, 1, 0x44);
	out(test, PORT_ACPI_PM1_EVENT + 2, 2, 0x100);
	platform_pci_plugged(test->platform, 9);
	assert_int_equal(platform_save(test->platform, &saved, &saved_bytes, NULL), 0);
	platform_reset(test->platform);
	out(test, PORT_CMOS_INDEX, 2, 0x50);
	assert_int_equal(platform_restore(test->platform, saved, saved_bytes, NULL), 0);
	assert_int_equal(in(test, PORT_COM1 + 7, 1), 0x33);
	assert_int_equal(in(test, PORT_CMOS_DATA, 1), 0x44);
	assert_int_equal(in(test, PORT_ACPI_PM1_EVENT + 2, 2), 0x100);
	assert_int_equal(in(test, PORT_PCI_HOTPLUG, 4), 1 << 9);
	free(saved);
}

static void garbage_is_not_restored(void **state)
{
	struct platform_case *test = *state;
	static const uint8_t garbage[] = {0x0a, 0x7f, 0xff};
	/* i8042 { control: 256 } */
	static const uint8_t out_of_range[] = {0x12, 0x03, 0x10, 0x80, 0x02};

	assert_int_equal(platform_restore(test->platform, garbage, sizeof(garbage), NULL),
			 -EBADMSG);
	assert_int_equal(platform_restore(test->platform, out_of_range, sizeof(out_of_range), NULL),
			 -EINVAL);
	assert_int_equal(platform_restore(test->platform, garbage, 0, NULL), 0);
}

static void a_port_that_is_taken_fails_the_whole(void **state)
{
	struct platform_case *test = *state;
	struct platform_options options = options_for(test);
	struct error err = ERROR_INIT;

	assert_null(platform_new(test->pio, test->mmio, &options, &err));
	assert_int_equal(err.code, -EEXIST);
}

static void random_accesses_are_survived(void **state)
{
	struct platform_case *test = *state;
	static const uint16_t ports[] = {0x60,	0x64,  0x70,  0x71,  0x3f8, 0x3fd, 0x600,
					 0x604, 0x608, 0x620, 0x640, 0xcf9, 0x505, 0x80};
	uint32_t seed = 12345;

	for (unsigned i = 0; i < 200000; i++) {
		uint16_t port;

		seed = seed * 1664525 + 1013904223;
		port = (uint16_t)(ports[(seed >> 8) % (sizeof(ports) / sizeof(ports[0]))] +
				  (seed >> 16 & 7));
		if (seed >> 31)
			out(test, port, 1U << (seed >> 29 & 1), seed >> 3);
		else
			(void)in(test, port, 1U << (seed >> 29 & 1));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_way_to_reset_and_power_off_is_reported),
		TEST(events_raise_the_sci),
		TEST(the_serial_port_reaches_its_backend),
		TEST(without_serial_port_its_ports_are_empty),
		TEST(reset_brings_power_on_state),
		TEST(a_saved_platform_is_restored),
		TEST(garbage_is_not_restored),
		TEST(a_port_that_is_taken_fails_the_whole),
		TEST(random_accesses_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
