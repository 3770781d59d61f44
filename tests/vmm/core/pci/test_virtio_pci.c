/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/vmm/core/pci/machine.h"

#define NEEDS_RESET 0x40

static uint64_t status_read(struct machine *machine)
{
	return common_read(machine, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void the_identity_is_that_of_a_modern_virtio_device(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(ecam_read(machine, machine->slot, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(ecam_read(machine, machine->slot, PCI_CLASS_REVISION, 4), 0x01800001);
	assert_in_range(ecam_read(machine, machine->slot, PCI_SUBSYSTEM_ID, 2), 0x40, 0xffff);
	assert_int_equal(ecam_read(machine, machine->slot, PCI_INTERRUPT_PIN, 1), 0);
}

static void kicks_go_to_the_queues_ioeventfd(void **state)
{
	struct machine *machine = *state;
	uint64_t notify = bar_gpa(machine, machine->slot) + machine->layout.notify;

	driver_start(machine);
	assert_int_equal(machine->layout.notify_multiplier, 4);
	assert_true(fake_kvm_guest_write(machine->vm, notify + 4, 2));
	assert_int_equal(eventfd_take(machine->activation.queues[1].kick_fd), 1);
	assert_int_equal(eventfd_take(machine->activation.queues[0].kick_fd), 0);
}

static void ioeventfds_follow_the_bar(void **state)
{
	struct machine *machine = *state;
	uint64_t before = bar_gpa(machine, machine->slot) + machine->layout.notify;

	ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	assert_false(fake_kvm_guest_write(machine->vm, before, 2));
	assert_true(fake_kvm_guest_write(machine->vm, 0xd0000000 + machine->layout.notify, 2));
	assert_int_equal(fake_kvm_ioeventfd_count(machine->vm), MACHINE_QUEUES);
}

static void ioeventfds_of_two_bytes_do_where_any_length_is_refused(void **state)
{
	struct machine *machine = *state;
	uint64_t notify = bar_gpa(machine, machine->slot) + machine->layout.notify;

	ecam_write(machine, machine->slot, PCI_COMMAND, 0, 2);
	machine->vm->refuse_any_length = true;
	ecam_write(machine, machine->slot, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(fake_kvm_guest_write(machine->vm, notify, 2));
	assert_false(fake_kvm_guest_write(machine->vm, notify, 4));
}

static void a_kick_that_exits_to_the_core_reaches_the_queue(void **state)
{
	struct machine *machine = *state;

	ecam_write(machine, machine->slot, PCI_COMMAND, 0, 2);
	machine->vm->refuse_ioeventfds = true;
	ecam_write(machine, machine->slot, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	driver_start(machine);
	bar_write(machine, machine->layout.notify + 4, 1, 2);
	assert_int_equal(eventfd_take(machine->activation.queues[1].kick_fd), 1);
	for (unsigned offset = 4 * MACHINE_QUEUES; offset < 4096; offset += 4)
		bar_write(machine, machine->layout.notify + offset, 0, 4);
	assert_int_equal(eventfd_take(machine->activation.queues[0].kick_fd), 0);
}

static void a_queue_interrupt_is_the_message_of_its_vector(void **state)
{
	struct machine *machine = *state;

	driver_enable_msix(machine);
	driver_set_vector(machine, 2, 0x51);
	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
	common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	virtio_pci_kick_all(machine->virtio);
	assert_int_equal(fake_kvm_deliver(machine->vm, MSI_ADDRESS, 0x51), 1);
	assert_int_equal(eventfd_take(machine->activation.queues[0].kick_fd), 1);
	/* queue 0 has no vector: its interrupt stays where it is */
	assert_int_equal(eventfd_take(machine->activation.queues[0].call_fd), 1);
}

static void the_pending_bit_shows_what_a_masked_vector_holds(void **state)
{
	struct machine *machine = *state;

	driver_enable_msix(machine);
	driver_set_vector(machine, 1, 0x52);
	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 1, 2);
	driver_mask_vector(machine, 1, true);
	virtio_pci_kick_all(machine->virtio);
	assert_int_equal(bar_read(machine, machine->layout.msix_pba, 8), 1 << 1);
	assert_int_equal(fake_kvm_deliver(machine->vm, MSI_ADDRESS, 0x52), 0);
	driver_mask_vector(machine, 1, false);
	assert_int_equal(fake_kvm_deliver(machine->vm, MSI_ADDRESS, 0x52), 1);
	assert_int_equal(bar_read(machine, machine->layout.msix_pba, 8), 0);
}

static void the_device_configuration_is_read_only(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(bar_read(machine, machine->layout.device, 8), 0x0807060504030201);
	assert_int_equal(bar_read(machine, machine->layout.device + 1, 2), 0x0302);
	assert_int_equal(bar_read(machine, machine->layout.device + 10, 4), 0x0c0b);
	bar_write(machine, machine->layout.device, 0, 8);
	assert_int_equal(bar_read(machine, machine->layout.device, 8), 0x0807060504030201);
}

static void a_new_configuration_counts_and_interrupts(void **state)
{
	static const uint8_t bytes[] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 7, 7, 7, 7};
	struct machine *machine = *state;

	driver_enable_msix(machine);
	driver_set_vector(machine, 0, 0x60);
	common_write(machine, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	virtio_pci_set_config_space(machine->virtio, bytes, sizeof(bytes));
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
	assert_int_equal(bar_read(machine, machine->layout.device + 8, 8), 0x09090909);
	/* not before DRIVER_OK */
	assert_int_equal(fake_kvm_deliver(machine->vm, MSI_ADDRESS, 0x60), 0);
	driver_start(machine);
	virtio_pci_set_config_space(machine->virtio, bytes, 4);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 2);
	assert_int_equal(fake_kvm_deliver(machine->vm, MSI_ADDRESS, 0x60), 1);
	assert_int_equal(bar_read(machine, machine->layout.isr, 1), VIRTIO_PCI_ISR_CONFIG);
	assert_int_equal(bar_read(machine, machine->layout.isr, 1), 0);
}

static void the_interrupt_status_works_without_msix(void **state)
{
	struct machine *machine = *state;

	driver_start(machine);
	assert_int_equal(bar_read(machine, machine->layout.isr, 1), 0);
	virtio_pci_kick_all(machine->virtio);
	assert_int_equal(bar_read(machine, machine->layout.isr, 4), 1);
	assert_int_equal(bar_read(machine, machine->layout.isr, 1), 0);
}

static void reset_is_seen_when_the_backend_is_done(void **state)
{
	struct machine *machine = *state;
	struct virtio_activation activation;

	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(machine->resets, 1);
	assert_int_equal(status_read(machine), 0xf);
	assert_false(virtio_pci_get_activation(machine->virtio, &activation));
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
	assert_int_equal(machine->resets, 1);
	assert_int_equal(status_read(machine), 0xf);
	virtio_pci_reset_done(machine->virtio);
	assert_int_equal(status_read(machine), 0);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), MACHINE_QUEUE_MAX);
}

static void a_device_is_activated_again_after_reset(void **state)
{
	struct machine *machine = *state;

	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	virtio_pci_reset_done(machine->virtio);
	virtio_pci_reset_done(machine->virtio);
	driver_start(machine);
	assert_int_equal(machine->activations, 2);
	assert_int_equal(status_read(machine), 0xf);
	virtio_pci_reset_done(machine->virtio);
	assert_int_equal(status_read(machine), 0xf);
}

static void reset_unbinds_vectors_and_drops_old_kicks_and_interrupts(void **state)
{
	struct machine *machine = *state;

	driver_enable_msix(machine);
	driver_set_vector(machine, 0, 0x61);
	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 0, 2);
	assert_int_equal(fake_kvm_irqfd_count(machine->vm), 1);
	driver_mask_vector(machine, 0, true);
	virtio_pci_kick_all(machine->virtio);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	virtio_pci_reset_done(machine->virtio);
	driver_mask_vector(machine, 0, false);
	assert_int_equal(fake_kvm_irqfd_count(machine->vm), 0);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 0, 2);
	assert_int_equal(fake_kvm_deliver(machine->vm, MSI_ADDRESS, 0x61), 0);
	assert_int_equal(eventfd_take(machine->activation.queues[0].kick_fd), 0);
}

static void needs_reset_interrupts_once_and_stays_until_reset(void **state)
{
	struct machine *machine = *state;

	driver_enable_msix(machine);
	driver_set_vector(machine, 0, 0x62);
	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	virtio_pci_set_needs_reset(machine->virtio);
	virtio_pci_set_needs_reset(machine->virtio);
	assert_int_equal(status_read(machine), 0xf | NEEDS_RESET);
	assert_int_equal(fake_kvm_deliver(machine->vm, MSI_ADDRESS, 0x62), 1);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 0);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_int_equal(status_read(machine), 0xf | NEEDS_RESET);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	virtio_pci_reset_done(machine->virtio);
	assert_int_equal(status_read(machine), 0);
}

static void a_device_that_needs_reset_is_not_activated(void **state)
{
	struct machine *machine = *state;

	virtio_pci_set_needs_reset(machine->virtio);
	driver_start(machine);
	assert_int_equal(machine->activations, 0);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(status_read(machine), 0);
	driver_start(machine);
	assert_int_equal(machine->activations, 1);
}

static void power_on_reset_gives_a_fresh_device_without_asking_the_backend(void **state)
{
	struct machine *machine = *state;
	uint64_t initial = bar_gpa(machine, machine->slot);

	driver_enable_msix(machine);
	driver_set_vector(machine, 0, 0x63);
	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	virtio_pci_power_on_reset(machine->virtio);
	assert_int_equal(machine->resets, 0);
	assert_int_equal(bar_gpa(machine, machine->slot), initial);
	assert_int_equal(ecam_read(machine, machine->slot, PCI_COMMAND, 2), 0);
	assert_int_equal(fake_kvm_ioeventfd_count(machine->vm), 0);
	assert_int_equal(fake_kvm_irqfd_count(machine->vm), 0);
	assert_false(mmio_access(machine, 0xd0000000));
	ecam_write(machine, machine->slot, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(status_read(machine), 0);
	assert_int_equal(bar_read(machine, machine->layout.msix_table, 8), 0);
}

static void access_set(struct machine *machine, uint8_t bar, uint32_t offset, uint32_t length)
{
	unsigned capability = machine->layout.access_capability;

	ecam_write(machine, machine->slot, capability + VIRTIO_PCI_CAP_BAR, bar, 1);
	ecam_write(machine, machine->slot, capability + VIRTIO_PCI_CAP_OFFSET, offset, 4);
	ecam_write(machine, machine->slot, capability + VIRTIO_PCI_CAP_LENGTH, length, 4);
}

static void structures_are_reached_through_config_space(void **state)
{
	struct machine *machine = *state;
	unsigned data = machine->layout.access_capability + sizeof(struct virtio_pci_cap);

	ecam_write(machine, machine->slot, PCI_COMMAND, 0, 2);
	access_set(machine, 0, machine->layout.common + VIRTIO_PCI_COMMON_Q_SELECT, 2);
	ecam_write(machine, machine->slot, data, 2, 2);
	access_set(machine, 0, machine->layout.common + VIRTIO_PCI_COMMON_Q_SIZE, 2);
	assert_int_equal(ecam_read(machine, machine->slot, data, 2), 64);
	access_set(machine, 0, machine->layout.device + 4, 4);
	assert_int_equal(ecam_read(machine, machine->slot, data, 4), 0x08070605);
}

static void config_space_access_to_nowhere_is_ignored(void **state)
{
	struct machine *machine = *state;
	unsigned data = machine->layout.access_capability + sizeof(struct virtio_pci_cap);
	const struct {
		uint8_t bar;
		uint32_t offset, length;
	} targets[] = {
		{1, 0, 4},	{0xff, 0, 4},	    {0, 0, 0},		{0, 0, 3},
		{0, 0, 8},	{0, 0, 0xffffffff}, {0, 1, 2},		{0, 2, 4},
		{0, 0x8000, 4}, {0, 0xfffffffc, 4}, {0, 0x7ffffffc, 4},
	};

	ecam_write(machine, machine->slot, data, 0x5a5a5a5a, 4);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		access_set(machine, targets[i].bar, targets[i].offset, targets[i].length);
		assert_int_equal(ecam_read(machine, machine->slot, data, 4), 0x5a5a5a5a);
		ecam_write(machine, machine->slot, data, 0x5a5a5a5a, 4);
	}
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_DFSELECT, 4), 0);
}

static void reserved_parts_of_the_bar_read_zero(void **state)
{
	struct machine *machine = *state;

	for (uint32_t offset = 0x6000; offset < 0x8000; offset += 0x7f8) {
		bar_write(machine, offset, UINT64_MAX, 8);
		assert_int_equal(bar_read(machine, offset, 8), 0);
	}
	assert_int_equal(bar_read(machine, machine->layout.notify, 4), 0);
}

static struct virtio_pci *try_options(struct machine *machine,
				      const struct virtio_pci_options *options, struct error *err)
{
	static const struct virtio_backend_ops ops;

	return virtio_pci_new(options, machine->vm, machine->pci, -1, &ops, NULL, err);
}

static void what_a_worker_must_not_offer_is_refused(void **state)
{
	static const uint16_t sizes[VIRTIO_PCI_MAX_QUEUES + 1] = {128}, odd_sizes[] = {100},
							    no_size[] = {0};
	static const uint8_t space[VIRTIO_PCI_MAX_CONFIG_SPACE + 1];
	const struct virtio_pci_options good = {
		.id = "bad",
		.virtio_device_id = 4,
		.features = 1ULL << 32,
		.queue_count = 1,
		.queue_max_sizes = sizes,
		.config_space = space,
	};
	struct virtio_pci_options bad[9];
	struct machine *machine = *state;

	for (size_t i = 0; i < 9; i++)
		bad[i] = good;
	bad[0].features = 0;
	bad[1].features |= 1ULL << 38;
	bad[2].queue_count = 0;
	bad[3].queue_count = VIRTIO_PCI_MAX_QUEUES + 1;
	bad[4].queue_max_sizes = odd_sizes;
	bad[5].queue_max_sizes = no_size;
	bad[6].config_space_bytes = sizeof(space);
	bad[7].virtio_device_id = 0;
	bad[8].virtio_device_id = 0x40;
	for (size_t i = 0; i < 9; i++) {
		struct error err = ERROR_INIT;

		assert_null(try_options(machine, &bad[i], &err));
		assert_int_equal(err.code, -EINVAL);
		assert_non_null(strstr(err.message, "\"bad\""));
	}
}

static void a_device_without_configuration_has_no_such_structure(void **state)
{
	static const uint16_t sizes[] = {128};
	const struct virtio_pci_options options = {
		.id = "rng",
		.virtio_device_id = 4,
		.features = 1ULL << 32,
		.queue_count = 1,
		.queue_max_sizes = sizes,
	};
	struct machine *machine = *state;
	struct virtio_pci *rng = try_options(machine, &options, NULL);
	unsigned slot, at;

	assert_non_null(rng);
	slot = virtio_pci_slot(rng);
	for (at = (unsigned)ecam_read(machine, slot, PCI_CAPABILITY_LIST, 1); at != 0;
	     at = (unsigned)ecam_read(machine, slot, at + PCI_CAP_LIST_NEXT, 1))
		if (ecam_read(machine, slot, at, 1) == PCI_CAP_ID_VNDR)
			assert_int_not_equal(
				ecam_read(machine, slot, at + VIRTIO_PCI_CAP_CFG_TYPE, 1),
				VIRTIO_PCI_CAP_DEVICE_CFG);
	virtio_pci_destroy(rng);
}

static void running_out_of_gsis_fails_cleanly(void **state)
{
	struct machine *machine = *state;
	struct error err = ERROR_INIT;

	machine->vm->gsi_limit = 24 + MACHINE_QUEUES + 1 + 2;
	assert_null(machine_add_virtio(machine, "late", -1, &err));
	assert_int_not_equal(err.code, 0);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(the_identity_is_that_of_a_modern_virtio_device),
		MACHINE_TEST(kicks_go_to_the_queues_ioeventfd),
		MACHINE_TEST(ioeventfds_follow_the_bar),
		MACHINE_TEST(ioeventfds_of_two_bytes_do_where_any_length_is_refused),
		MACHINE_TEST(a_kick_that_exits_to_the_core_reaches_the_queue),
		MACHINE_TEST(a_queue_interrupt_is_the_message_of_its_vector),
		MACHINE_TEST(the_pending_bit_shows_what_a_masked_vector_holds),
		MACHINE_TEST(the_device_configuration_is_read_only),
		MACHINE_TEST(a_new_configuration_counts_and_interrupts),
		MACHINE_TEST(the_interrupt_status_works_without_msix),
		MACHINE_TEST(reset_is_seen_when_the_backend_is_done),
		MACHINE_TEST(a_device_is_activated_again_after_reset),
		MACHINE_TEST(reset_unbinds_vectors_and_drops_old_kicks_and_interrupts),
		MACHINE_TEST(needs_reset_interrupts_once_and_stays_until_reset),
		MACHINE_TEST(a_device_that_needs_reset_is_not_activated),
		MACHINE_TEST(power_on_reset_gives_a_fresh_device_without_asking_the_backend),
		MACHINE_TEST(structures_are_reached_through_config_space),
		MACHINE_TEST(config_space_access_to_nowhere_is_ignored),
		MACHINE_TEST(reserved_parts_of_the_bar_read_zero),
		MACHINE_TEST(what_a_worker_must_not_offer_is_refused),
		MACHINE_TEST(a_device_without_configuration_has_no_such_structure),
		MACHINE_TEST(running_out_of_gsis_fails_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
