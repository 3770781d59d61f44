/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/vmm/core/pci/machine.h"

#define ACKNOWLEDGE 1
#define DRIVER	    2
#define DRIVER_OK   4
#define FEATURES_OK 8
#define NEEDS_RESET 0x40
#define FAILED	    0x80

static uint64_t status_read(struct machine *machine)
{
	return common_read(machine, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void status_write(struct machine *machine, unsigned status)
{
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, status, 1);
}

static void queue_select(struct machine *machine, unsigned queue)
{
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, queue, 2);
}

static void a_fresh_device_shows_its_defaults(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(status_read(machine), 0);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_NUMQ, 2), MACHINE_QUEUES);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), MACHINE_QUEUE_MAX);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	queue_select(machine, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_NOFF, 2), 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
}

static void features_are_shown_32_bits_at_a_time(void **state)
{
	struct machine *machine = *state;

	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_DF, 4),
			 MACHINE_FEATURES & 0xffffffff);
	common_write(machine, VIRTIO_PCI_COMMON_DFSELECT, 1, 4);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_DF, 4), MACHINE_FEATURES >> 32);
	common_write(machine, VIRTIO_PCI_COMMON_DFSELECT, 2, 4);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_DF, 4), 0);
	common_write(machine, VIRTIO_PCI_COMMON_DF, 0xffffffff, 4);
	common_write(machine, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_DF, 4),
			 MACHINE_FEATURES & 0xffffffff);
}

static void offered_features_are_accepted(void **state)
{
	struct machine *machine = *state;

	driver_negotiate(machine, 1ULL << VIRTIO_F_VERSION_1 | 1ULL << 5);
	assert_int_equal(status_read(machine), ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

static void features_that_were_not_offered_are_rejected(void **state)
{
	struct machine *machine = *state;

	driver_negotiate(machine, MACHINE_FEATURES | 1ULL << 6);
	assert_int_equal(status_read(machine), ACKNOWLEDGE | DRIVER);
}

static void features_without_version_1_are_rejected(void **state)
{
	struct machine *machine = *state;

	driver_negotiate(machine, 1ULL << 5);
	assert_int_equal(status_read(machine), ACKNOWLEDGE | DRIVER);
}

static void accepted_features_do_not_change_until_reset(void **state)
{
	struct machine *machine = *state;

	driver_negotiate(machine, MACHINE_FEATURES);
	common_write(machine, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	common_write(machine, VIRTIO_PCI_COMMON_GF, 0xffffffff, 4);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_GF, 4),
			 MACHINE_FEATURES & 0xffffffff);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, DRIVER_OK, 1);
	assert_int_equal(machine->activation.features, MACHINE_FEATURES);
}

static void feature_words_that_do_not_exist_are_ignored(void **state)
{
	struct machine *machine = *state;

	common_write(machine, VIRTIO_PCI_COMMON_GFSELECT, 2, 4);
	common_write(machine, VIRTIO_PCI_COMMON_GF, 0xffffffff, 4);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_GF, 4), 0);
	driver_negotiate(machine, MACHINE_FEATURES);
	assert_true(status_read(machine) & FEATURES_OK);
}

static void status_bits_are_cleared_by_reset_only(void **state)
{
	struct machine *machine = *state;

	driver_negotiate(machine, MACHINE_FEATURES);
	status_write(machine, ACKNOWLEDGE);
	assert_int_equal(status_read(machine), ACKNOWLEDGE | DRIVER | FEATURES_OK);
	status_write(machine, FAILED | NEEDS_RESET | 0x30);
	assert_int_equal(status_read(machine), ACKNOWLEDGE | DRIVER | FEATURES_OK | FAILED);
	status_write(machine, 0);
	assert_int_equal(status_read(machine), 0);
	assert_int_equal(machine->resets, 0);
}

static void driver_ok_without_features_ok_is_ignored(void **state)
{
	struct machine *machine = *state;

	status_write(machine, ACKNOWLEDGE | DRIVER | DRIVER_OK);
	assert_int_equal(status_read(machine), ACKNOWLEDGE | DRIVER);
	assert_int_equal(machine->activations, 0);
}

static void driver_ok_activates_the_backend_once_with_the_enabled_queues(void **state)
{
	struct machine *machine = *state;
	const struct virtio_activation *activation = &machine->activation;

	driver_start(machine);
	status_write(machine, 0xf);
	status_write(machine, DRIVER_OK);
	assert_int_equal(machine->activations, 1);
	assert_int_equal(activation->features, MACHINE_FEATURES);
	assert_int_equal(activation->queue_count, 2);
	assert_int_equal(activation->queues[1].index, 1);
	assert_int_equal(activation->queues[1].size, 32);
	assert_int_equal(activation->queues[1].descriptor_area, 0x120010000);
	assert_int_equal(activation->queues[1].driver_area, 0x120011000);
	assert_int_equal(activation->queues[1].device_area, 0x120012000);
	assert_int_not_equal(activation->queues[0].kick_fd, activation->queues[1].kick_fd);
}

static void queue_sizes_are_powers_of_two_up_to_the_maximum(void **state)
{
	static const uint16_t refused[] = {0, 3, 100, 257, 512, 32768, 65535};
	struct machine *machine = *state;

	common_write(machine, VIRTIO_PCI_COMMON_Q_SIZE, 16, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		common_write(machine, VIRTIO_PCI_COMMON_Q_SIZE, refused[i], 2);
		assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	}
	common_write(machine, VIRTIO_PCI_COMMON_Q_SIZE, 1, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), 1);
}

static void an_enabled_queue_does_not_change(void **state)
{
	struct machine *machine = *state;

	driver_negotiate(machine, MACHINE_FEATURES);
	driver_enable_queue(machine, 0, 0x100000);
	common_write(machine, VIRTIO_PCI_COMMON_Q_SIZE, 64, 2);
	common_write(machine, VIRTIO_PCI_COMMON_Q_DESCLO, 0x666000, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_USEDHI, 1, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 0, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), 32);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x100000);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_USEDHI, 4), 0);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

static void queues_are_enabled_between_features_ok_and_driver_ok_only(void **state)
{
	struct machine *machine = *state;

	driver_enable_queue(machine, 0, 0x100000);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	driver_start(machine);
	driver_enable_queue(machine, 2, 0x300000);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	queue_select(machine, 0);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

static void a_queue_that_does_not_exist_reads_zero_and_takes_nothing(void **state)
{
	static const uint16_t queues[] = {MACHINE_QUEUES, 16, 0x7fff, 0xffff};
	struct machine *machine = *state;

	driver_negotiate(machine, MACHINE_FEATURES);
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		driver_enable_queue(machine, queues[i], 0x500000);
		common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 0, 2);
		assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SELECT, 2), queues[i]);
		assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0);
		assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_MSIX, 2),
				 VIRTIO_MSI_NO_VECTOR);
	}
}

static void a_vector_beyond_the_table_reads_back_as_none(void **state)
{
	struct machine *machine = *state;

	common_write(machine, VIRTIO_PCI_COMMON_MSIX, MACHINE_QUEUES, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_MSIX, 2), MACHINE_QUEUES);
	common_write(machine, VIRTIO_PCI_COMMON_MSIX, MACHINE_QUEUES + 1, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 1, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 0x8000, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
}

static void wide_and_odd_accesses_are_split_into_fields(void **state)
{
	struct machine *machine = *state;

	common_write(machine, VIRTIO_PCI_COMMON_Q_DESCLO, 0x1122334455667788, 8);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0x1122334455667788);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0x11223344);
	common_write(machine, VIRTIO_PCI_COMMON_Q_DESCLO + 3, 0xaabb, 2);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0x112233aabb667788);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_DESCLO + 1, 1), 0x77);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_MSIX, 4),
			 VIRTIO_MSI_NO_VECTOR | MACHINE_QUEUES << 16);
	/* queue_select and queue_size in one: the size is the newly selected queue's */
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, 1 | 8 << 16, 4);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	queue_select(machine, 0);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2), MACHINE_QUEUE_MAX);
}

static void accesses_around_the_end_of_the_structure_are_harmless(void **state)
{
	struct machine *machine = *state;

	for (unsigned offset = 50; offset < 72; offset++)
		for (unsigned length = 1; length <= 8; length *= 2) {
			common_write(machine, offset, UINT64_MAX, length);
			(void)common_read(machine, offset, length);
		}
	assert_int_equal(common_read(machine, 56, 8), 0);
	assert_int_equal(common_read(machine, 0xff9, 8), 0);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_fresh_device_shows_its_defaults),
		MACHINE_TEST(features_are_shown_32_bits_at_a_time),
		MACHINE_TEST(offered_features_are_accepted),
		MACHINE_TEST(features_that_were_not_offered_are_rejected),
		MACHINE_TEST(features_without_version_1_are_rejected),
		MACHINE_TEST(accepted_features_do_not_change_until_reset),
		MACHINE_TEST(feature_words_that_do_not_exist_are_ignored),
		MACHINE_TEST(status_bits_are_cleared_by_reset_only),
		MACHINE_TEST(driver_ok_without_features_ok_is_ignored),
		MACHINE_TEST(driver_ok_activates_the_backend_once_with_the_enabled_queues),
		MACHINE_TEST(queue_sizes_are_powers_of_two_up_to_the_maximum),
		MACHINE_TEST(an_enabled_queue_does_not_change),
		MACHINE_TEST(queues_are_enabled_between_features_ok_and_driver_ok_only),
		MACHINE_TEST(a_queue_that_does_not_exist_reads_zero_and_takes_nothing),
		MACHINE_TEST(a_vector_beyond_the_table_reads_back_as_none),
		MACHINE_TEST(wide_and_odd_accesses_are_split_into_fields),
		MACHINE_TEST(accesses_around_the_end_of_the_structure_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
