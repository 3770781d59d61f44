/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/vmm/core/pci/machine.h"
#include "vmm/core/platform/memory_map.h"

#define ENABLE	     0x80000000U
#define HOST_BRIDGE  0x00081b36U
#define VIRTIO_BLOCK 0x10421af4U

static void type_1_accesses_of_every_size_reach_config_space(void **state)
{
	struct machine *machine = *state;

	pio_write(machine, PORT_PCI_ADDRESS, ENABLE | machine->slot << 11, 4);
	assert_int_equal(pio_read(machine, PORT_PCI_ADDRESS, 4), ENABLE | machine->slot << 11);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA, 4), VIRTIO_BLOCK);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA + 2, 2), VIRTIO_BLOCK >> 16);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA + 1, 1), 0x1a);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA + 3, 1), 0x10);
	pio_write(machine, PORT_PCI_ADDRESS, ENABLE | machine->slot << 11 | PCI_CACHE_LINE_SIZE, 4);
	pio_write(machine, PORT_PCI_DATA + 1, 0x40, 1);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA, 2), 0x4000);
}

static void the_address_register_takes_double_words_only(void **state)
{
	struct machine *machine = *state;

	pio_write(machine, PORT_PCI_ADDRESS, 0xffffffff, 4);
	assert_int_equal(pio_read(machine, PORT_PCI_ADDRESS, 4), 0x80fffffc);
	pio_write(machine, PORT_PCI_ADDRESS, 0, 1);
	pio_write(machine, PORT_PCI_ADDRESS + 2, 0, 2);
	pio_write(machine, PORT_PCI_ADDRESS + 3, 0, 1);
	assert_int_equal(pio_read(machine, PORT_PCI_ADDRESS, 4), 0x80fffffc);
	assert_int_equal(pio_read(machine, PORT_PCI_ADDRESS + 3, 1), 0xff);
	pci_bus_set_address(machine->pci, 0x80001234);
	assert_int_equal(pci_bus_get_address(machine->pci), 0x80001234);
}

static void without_the_enable_bit_the_data_port_reads_ones(void **state)
{
	struct machine *machine = *state;

	pio_write(machine, PORT_PCI_ADDRESS, machine->slot << 11, 4);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA, 4), 0xffffffff);
	pio_write(machine, PORT_PCI_ADDRESS, machine->slot << 11 | PCI_COMMAND, 4);
	pio_write(machine, PORT_PCI_DATA, 0, 2);
	assert_int_equal(ecam_read(machine, machine->slot, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void other_buses_functions_and_empty_slots_read_ones(void **state)
{
	struct machine *machine = *state;

	pio_write(machine, PORT_PCI_ADDRESS, ENABLE | 1 << 16, 4);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA, 4), 0xffffffff);
	pio_write(machine, PORT_PCI_ADDRESS, ENABLE | 1 << 8, 4);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA, 4), 0xffffffff);
	assert_int_equal(ecam_read(machine, 31, 0, 4), 0xffffffff);
	assert_int_equal(ecam_read(machine, machine->slot, 0x1000, 4), 0xffffffff);
	ecam_write(machine, 31, PCI_COMMAND, 2, 2);
}

static void slot_0_is_a_host_bridge(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(ecam_read(machine, 0, 0, 4), HOST_BRIDGE);
	assert_int_equal(ecam_read(machine, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(ecam_read(machine, 0, PCI_HEADER_TYPE, 1), 0);
}

static void ecam_accesses_of_every_size_and_alignment_are_answered(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(ecam_read(machine, machine->slot, 0, 8) & 0xffffffff, VIRTIO_BLOCK);
	assert_int_equal(ecam_read(machine, machine->slot, 1, 2), 0x421a);
	assert_int_equal(ecam_read(machine, machine->slot, 0x100, 4), 0xffffffff);
	assert_int_equal(ecam_read(machine, machine->slot, 0xfff, 8), UINT64_MAX);
	ecam_write(machine, machine->slot, 0xffc, 0, 8);
}

static void a_bar_decodes_only_while_memory_is_enabled(void **state)
{
	struct machine *machine = *state;
	uint64_t gpa = bar_gpa(machine, machine->slot);

	assert_in_range(gpa, MAP_PCI_MMIO_START, MAP_PCI_MMIO_END - 1);
	assert_true(mmio_access(machine, gpa));
	ecam_write(machine, machine->slot, PCI_COMMAND, 0, 2);
	assert_false(mmio_access(machine, gpa));
	assert_int_equal(fake_kvm_ioeventfd_count(machine->vm), 0);
	ecam_write(machine, machine->slot, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(mmio_access(machine, gpa));
}

static void a_bar_moves_where_the_guest_puts_it(void **state)
{
	struct machine *machine = *state;
	uint64_t before = bar_gpa(machine, machine->slot), after = 0xd0000000;

	ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, after, 4);
	assert_false(mmio_access(machine, before));
	assert_true(mmio_access(machine, after));
	/* and through the ports */
	pio_write(machine, PORT_PCI_ADDRESS, ENABLE | machine->slot << 11 | PCI_BASE_ADDRESS_0, 4);
	pio_write(machine, PORT_PCI_DATA, before, 4);
	assert_true(mmio_access(machine, before));
	assert_false(mmio_access(machine, after));
}

static void sizing_a_bar_while_it_decodes_does_no_harm(void **state)
{
	struct machine *machine = *state;
	uint64_t gpa = bar_gpa(machine, machine->slot);

	ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, 0xffffffff, 4);
	assert_int_equal(ecam_read(machine, machine->slot, PCI_BASE_ADDRESS_0, 4), 0xffff8000);
	assert_false(mmio_access(machine, gpa));
	ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, gpa, 4);
	assert_true(mmio_access(machine, gpa));
}

static void a_bar_over_ram_ecam_or_interrupt_controllers_does_not_decode(void **state)
{
	static const uint32_t places[] = {
		0,	    0x8000,	0xbfff8000, 0xbffff000, (uint32_t)MAP_PCI_MMIO_END,
		0xe8000000, 0xe80f8000, 0xfec00000, 0xfee00000, 0xfffb8000,
		0xffff8000,
	};
	struct machine *machine = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, places[i], 4);
		assert_int_equal(fake_kvm_ioeventfd_count(machine->vm), 0);
		assert_int_equal(ecam_read(machine, 0, 0, 4), HOST_BRIDGE);
		assert_false(mmio_access(machine, places[i]) &&
			     (places[i] < MAP_ECAM_START ||
			      places[i] >= MAP_ECAM_START + MAP_ECAM_SIZE));
	}
}

static void a_bar_over_another_decodes_when_the_other_leaves(void **state)
{
	struct machine *machine = *state;
	struct virtio_pci *other = machine_add_virtio(machine, "other", 9, NULL);
	uint64_t first = bar_gpa(machine, machine->slot), second = bar_gpa(machine, 9);

	assert_non_null(other);
	assert_int_not_equal(first, second);
	ecam_write(machine, 9, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(mmio_access(machine, second));
	ecam_write(machine, 9, PCI_BASE_ADDRESS_0, first, 4);
	assert_false(mmio_access(machine, second));
	assert_int_equal(fake_kvm_ioeventfd_count(machine->vm), MACHINE_QUEUES);
	ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, second, 4);
	assert_true(mmio_access(machine, first));
	assert_true(mmio_access(machine, second));
	assert_int_equal(fake_kvm_ioeventfd_count(machine->vm), 2 * MACHINE_QUEUES);
	virtio_pci_destroy(other);
	assert_false(mmio_access(machine, first));
}

static void slots_are_given_in_order_and_taken_ones_refused(void **state)
{
	struct machine *machine = *state;
	struct virtio_pci *devices[32] = {NULL};
	struct error err = ERROR_INIT;

	assert_int_equal(machine->slot, 1);
	assert_null(machine_add_virtio(machine, "taken", 1, &err));
	assert_int_equal(err.code, -EEXIST);
	assert_null(machine_add_virtio(machine, "bridge", 0, &err));
	assert_null(machine_add_virtio(machine, "beyond", 32, &err));
	assert_int_equal(err.code, -EINVAL);
	for (unsigned i = 2; i < 32; i++) {
		devices[i] = machine_add_virtio(machine, "more", -1, &err);
		assert_non_null(devices[i]);
		assert_int_equal(virtio_pci_slot(devices[i]), i);
		for (unsigned other = 1; other < i; other++)
			assert_int_not_equal(bar_gpa(machine, i), bar_gpa(machine, other));
	}
	assert_null(machine_add_virtio(machine, "one too many", -1, &err));
	assert_int_equal(err.code, -ENOSPC);
	for (unsigned i = 2; i < 32; i++)
		virtio_pci_destroy(devices[i]);
}

static void an_unplugged_device_leaves_nothing_behind(void **state)
{
	struct machine *machine = *state;
	uint64_t gpa = bar_gpa(machine, machine->slot);

	driver_start(machine);
	driver_enable_msix(machine);
	driver_set_vector(machine, 0, 0x41);
	virtio_pci_destroy(machine->virtio);
	machine->virtio = NULL;
	assert_int_equal(ecam_read(machine, machine->slot, 0, 4), 0xffffffff);
	assert_false(mmio_access(machine, gpa));
	assert_int_equal(fake_kvm_ioeventfd_count(machine->vm), 0);
	assert_int_equal(fake_kvm_irqfd_count(machine->vm), 0);
}

static void nothing_access(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	(void)opaque;
	(void)offset;
	memset(data, 0x5a, length_bytes);
}

static const struct bus_device_ops reset_port_ops = {.name = "reset", .read = nothing_access};

static void the_reset_port_lies_inside_the_address_port(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(bus_add(machine->pio, PORT_ACPI_RESET, 1, &reset_port_ops, NULL, NULL), 0);
	assert_int_equal(pio_read(machine, PORT_ACPI_RESET, 1), 0x5a);
	pio_write(machine, PORT_PCI_ADDRESS, ENABLE, 4);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA, 4), HOST_BRIDGE);
}

static void a_second_root_on_the_same_buses_is_refused_and_the_first_works_on(void **state)
{
	struct machine *machine = *state;
	struct error err = ERROR_INIT;

	assert_null(pci_bus_new(machine->pio, machine->mmio, &err));
	assert_int_equal(err.code, -EEXIST);
	assert_int_equal(ecam_read(machine, 0, 0, 4), HOST_BRIDGE);
	pio_write(machine, PORT_PCI_ADDRESS, ENABLE, 4);
	assert_int_equal(pio_read(machine, PORT_PCI_DATA, 4), HOST_BRIDGE);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(type_1_accesses_of_every_size_reach_config_space),
		MACHINE_TEST(the_address_register_takes_double_words_only),
		MACHINE_TEST(without_the_enable_bit_the_data_port_reads_ones),
		MACHINE_TEST(other_buses_functions_and_empty_slots_read_ones),
		MACHINE_TEST(slot_0_is_a_host_bridge),
		MACHINE_TEST(ecam_accesses_of_every_size_and_alignment_are_answered),
		MACHINE_TEST(a_bar_decodes_only_while_memory_is_enabled),
		MACHINE_TEST(a_bar_moves_where_the_guest_puts_it),
		MACHINE_TEST(sizing_a_bar_while_it_decodes_does_no_harm),
		MACHINE_TEST(a_bar_over_ram_ecam_or_interrupt_controllers_does_not_decode),
		MACHINE_TEST(a_bar_over_another_decodes_when_the_other_leaves),
		MACHINE_TEST(slots_are_given_in_order_and_taken_ones_refused),
		MACHINE_TEST(an_unplugged_device_leaves_nothing_behind),
		MACHINE_TEST(the_reset_port_lies_inside_the_address_port),
		MACHINE_TEST(a_second_root_on_the_same_buses_is_refused_and_the_first_works_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
