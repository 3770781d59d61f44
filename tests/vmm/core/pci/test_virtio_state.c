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

#include "proto/pci.pb-c.h"
#include "tests/vmm/core/pci/machine.h"

struct blob {
	uint8_t *bytes;
	size_t length;
};

static struct blob save(struct machine *machine)
{
	struct blob blob = {NULL, 0};

	assert_int_equal(virtio_pci_save(machine->virtio, &blob.bytes, &blob.length, NULL), 0);
	return blob;
}

/* Restore into a fresh machine whose guest has done nothing yet. */
static int restore(struct machine *fresh, const struct blob *blob, struct error *err)
{
	machine_init(fresh);
	virtio_pci_power_on_reset(fresh->virtio);
	return virtio_pci_restore(fresh->virtio, blob->bytes, blob->length, err);
}

static void a_running_device_is_the_same_after_restore(void **state)
{
	struct machine *machine = *state;
	struct virtio_activation before, after;
	struct machine fresh;
	struct blob blob;

	ecam_write(machine, machine->slot, PCI_BASE_ADDRESS_0, 0xd1230000, 4);
	ecam_write(machine, machine->slot, PCI_INTERRUPT_LINE, 11, 1);
	driver_enable_msix(machine);
	driver_set_vector(machine, 1, 0x71);
	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
	common_write(machine, VIRTIO_PCI_COMMON_Q_MSIX, 1, 2);
	blob = save(machine);

	assert_int_equal(restore(&fresh, &blob, NULL), 0);
	assert_int_equal(bar_gpa(&fresh, fresh.slot), 0xd1230000);
	assert_int_equal(ecam_read(&fresh, fresh.slot, PCI_INTERRUPT_LINE, 1), 11);
	for (unsigned offset = 0; offset < 256; offset++)
		assert_int_equal(ecam_read(&fresh, fresh.slot, offset, 1),
				 ecam_read(machine, machine->slot, offset, 1));
	for (unsigned offset = 0; offset < 56; offset++)
		assert_int_equal(common_read(&fresh, offset, 1), common_read(machine, offset, 1));
	assert_int_equal(fake_kvm_ioeventfd_count(fresh.vm), MACHINE_QUEUES);
	assert_int_equal(fresh.activations, 0);
	assert_true(virtio_pci_get_activation(machine->virtio, &before));
	assert_true(virtio_pci_get_activation(fresh.virtio, &after));
	assert_int_equal(after.queue_count, 2);
	assert_int_equal(after.queues[1].device_area, before.queues[1].device_area);
	virtio_pci_kick_all(fresh.virtio);
	assert_int_equal(fake_kvm_deliver(fresh.vm, MSI_ADDRESS, 0x71), 1);
	assert_int_equal(eventfd_take(after.queues[1].kick_fd), 1);
	free(blob.bytes);
	assert_int_equal(machine_destroy(&fresh), 0);
}

static void a_device_that_nobody_drives_is_the_same_after_restore(void **state)
{
	struct machine *machine = *state;
	struct virtio_activation activation;
	struct machine fresh;
	struct blob blob = save(machine);

	assert_int_equal(restore(&fresh, &blob, NULL), 0);
	assert_false(virtio_pci_get_activation(fresh.virtio, &activation));
	driver_start(&fresh);
	assert_int_equal(fresh.activations, 1);
	free(blob.bytes);
	assert_int_equal(machine_destroy(&fresh), 0);
}

static void an_interrupt_pending_behind_a_mask_survives(void **state)
{
	struct machine *machine = *state;
	struct machine fresh;
	struct blob blob;

	driver_enable_msix(machine);
	driver_set_vector(machine, 0, 0x72);
	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	driver_mask_vector(machine, 0, true);
	virtio_pci_set_needs_reset(machine->virtio);
	blob = save(machine);
	assert_int_equal(restore(&fresh, &blob, NULL), 0);
	assert_int_equal(bar_read(&fresh, fresh.layout.msix_pba, 8), 1);
	driver_mask_vector(&fresh, 0, false);
	assert_int_equal(fake_kvm_deliver(fresh.vm, MSI_ADDRESS, 0x72), 1);
	free(blob.bytes);
	assert_int_equal(machine_destroy(&fresh), 0);
}

static void a_reset_under_way_is_finished_in_the_saved_state(void **state)
{
	struct machine *machine = *state;
	struct machine fresh;
	struct blob blob;

	driver_start(machine);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	blob = save(machine);
	assert_int_equal(common_read(machine, VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
	assert_int_equal(restore(&fresh, &blob, NULL), 0);
	assert_int_equal(common_read(&fresh, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	assert_int_equal(common_read(&fresh, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	free(blob.bytes);
	assert_int_equal(machine_destroy(&fresh), 0);
}

static void a_worker_with_another_configuration_is_told_to_the_driver(void **state)
{
	static const uint8_t bigger[] = {200};
	struct machine *machine = *state;
	struct machine fresh;
	struct blob blob;

	driver_start(machine);
	blob = save(machine);
	machine_init(&fresh);
	virtio_pci_set_config_space(fresh.virtio, bigger, 1);
	assert_int_equal(virtio_pci_restore(fresh.virtio, blob.bytes, blob.length, NULL), 0);
	assert_int_equal(common_read(&fresh, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
	assert_int_equal(bar_read(&fresh, fresh.layout.device, 1), 200);
	assert_true(bar_read(&fresh, fresh.layout.isr, 1) & VIRTIO_PCI_ISR_CONFIG);
	free(blob.bytes);
	assert_int_equal(machine_destroy(&fresh), 0);
}

/* What a hostile file may say, one a time. */
enum damage {
	DAMAGE_VERSION,
	DAMAGE_ID,
	DAMAGE_KIND,
	DAMAGE_SLOT,
	DAMAGE_COMMAND,
	DAMAGE_CACHE_LINE,
	DAMAGE_BAR,
	DAMAGE_OTHER_BAR,
	DAMAGE_NO_PCI,
	DAMAGE_NO_MSIX,
	DAMAGE_ENTRIES,
	DAMAGE_STATUS_BITS,
	DAMAGE_STATUS_ORDER,
	DAMAGE_FEATURES,
	DAMAGE_ISR,
	DAMAGE_CONFIG_VECTOR,
	DAMAGE_QUEUE_SELECT,
	DAMAGE_GENERATION,
	DAMAGE_QUEUE_COUNT,
	DAMAGE_QUEUE_SIZE,
	DAMAGE_QUEUE_SIZE_ODD,
	DAMAGE_QUEUE_VECTOR,
	DAMAGE_QUEUE_ENABLED,
	DAMAGE_WINDOW_BAR,
	DAMAGE_COUNT,
};

static void damage_pci(Bulkhead__Pci__VirtioPciState *saved, enum damage damage)
{
	switch (damage) {
	case DAMAGE_SLOT:
		saved->pci->slot = 31;
		break;
	case DAMAGE_COMMAND:
		saved->pci->command |= 0x10000;
		break;
	case DAMAGE_CACHE_LINE:
		saved->pci->cache_line_size = 256;
		break;
	case DAMAGE_BAR:
		saved->pci->bars[0] = 0xd0000010;
		break;
	case DAMAGE_OTHER_BAR:
		saved->pci->bars[1] = 0xd0000000;
		break;
	case DAMAGE_NO_PCI:
		bulkhead__pci__pci_state__free_unpacked(saved->pci, NULL);
		saved->pci = NULL;
		break;
	case DAMAGE_NO_MSIX:
		bulkhead__pci__msix_state__free_unpacked(saved->msix, NULL);
		saved->msix = NULL;
		break;
	case DAMAGE_ENTRIES:
		bulkhead__pci__msix_entry__free_unpacked(saved->msix->entries[3], NULL);
		saved->msix->n_entries--;
		break;
	default:
		break;
	}
}

static void damage_registers(Bulkhead__Pci__VirtioPciState *saved, enum damage damage)
{
	switch (damage) {
	case DAMAGE_VERSION:
		saved->version = 2;
		break;
	case DAMAGE_ID:
		saved->id[0] = 'X';
		break;
	case DAMAGE_KIND:
		saved->virtio_device_id = 1;
		break;
	case DAMAGE_STATUS_BITS:
		saved->device_status |= 0x100;
		break;
	case DAMAGE_STATUS_ORDER:
		saved->device_status = 7;
		break;
	case DAMAGE_FEATURES:
		saved->driver_features |= 1ULL << 63;
		break;
	case DAMAGE_ISR:
		saved->interrupt_status = 4;
		break;
	case DAMAGE_CONFIG_VECTOR:
		saved->config_vector = MACHINE_QUEUES + 1;
		break;
	case DAMAGE_QUEUE_SELECT:
		saved->queue_select = 0x10000;
		break;
	case DAMAGE_GENERATION:
		saved->config_generation = 256;
		break;
	case DAMAGE_WINDOW_BAR:
		saved->access_window->bar = 256;
		break;
	default:
		break;
	}
}

static void damage_queues(Bulkhead__Pci__VirtioPciState *saved, enum damage damage)
{
	switch (damage) {
	case DAMAGE_QUEUE_COUNT:
		bulkhead__pci__virtio_queue_state__free_unpacked(saved->queues[2], NULL);
		saved->n_queues--;
		break;
	case DAMAGE_QUEUE_SIZE:
		saved->queues[1]->size = 256;
		break;
	case DAMAGE_QUEUE_SIZE_ODD:
		saved->queues[1]->size = 0x10010;
		break;
	case DAMAGE_QUEUE_VECTOR:
		saved->queues[0]->vector = 0x10000;
		break;
	case DAMAGE_QUEUE_ENABLED:
		saved->device_status = 3;
		break;
	default:
		break;
	}
}

static struct blob damaged(const struct blob *good, enum damage damage)
{
	Bulkhead__Pci__VirtioPciState *saved =
		bulkhead__pci__virtio_pci_state__unpack(NULL, good->length, good->bytes);
	struct blob blob;

	assert_non_null(saved);
	damage_pci(saved, damage);
	damage_registers(saved, damage);
	damage_queues(saved, damage);
	blob.length = bulkhead__pci__virtio_pci_state__get_packed_size(saved);
	blob.bytes = malloc(blob.length);
	assert_non_null(blob.bytes);
	bulkhead__pci__virtio_pci_state__pack(saved, blob.bytes);
	bulkhead__pci__virtio_pci_state__free_unpacked(saved, NULL);
	return blob;
}

static void every_field_is_checked_and_a_refused_state_changes_nothing(void **state)
{
	struct machine *machine = *state;
	struct blob good;

	driver_start(machine);
	good = save(machine);
	for (int i = 0; i < DAMAGE_COUNT; i++) {
		struct blob bad = damaged(&good, (enum damage)i);
		struct error err = ERROR_INIT;
		struct machine fresh;
		struct blob untouched, after;

		machine_init(&fresh);
		untouched = save(&fresh);
		assert_int_equal(virtio_pci_restore(fresh.virtio, bad.bytes, bad.length, &err),
				 -EINVAL);
		assert_non_null(strstr(err.message, "\"disk\""));
		after = save(&fresh);
		assert_int_equal(after.length, untouched.length);
		assert_memory_equal(after.bytes, untouched.bytes, after.length);
		free(after.bytes);
		free(untouched.bytes);
		free(bad.bytes);
		assert_int_equal(machine_destroy(&fresh), 0);
	}
	free(good.bytes);
}

static void truncated_and_flipped_states_never_crash(void **state)
{
	struct machine *machine = *state;
	struct blob good;

	driver_start(machine);
	driver_enable_msix(machine);
	driver_set_vector(machine, 0, 0x73);
	good = save(machine);
	for (size_t length = 0; length < good.length; length++)
		(void)virtio_pci_restore(machine->virtio, good.bytes, length, NULL);
	for (size_t bit = 0; bit < good.length * 8; bit++) {
		good.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)virtio_pci_restore(machine->virtio, good.bytes, good.length, NULL);
		good.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(virtio_pci_restore(machine->virtio, good.bytes, good.length, NULL), 0);
	assert_int_equal(virtio_pci_restore(machine->virtio, good.bytes, SIZE_MAX, NULL), -EINVAL);
	free(good.bytes);
}

#define MACHINE_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_running_device_is_the_same_after_restore),
		MACHINE_TEST(a_device_that_nobody_drives_is_the_same_after_restore),
		MACHINE_TEST(an_interrupt_pending_behind_a_mask_survives),
		MACHINE_TEST(a_reset_under_way_is_finished_in_the_saved_state),
		MACHINE_TEST(a_worker_with_another_configuration_is_told_to_the_driver),
		MACHINE_TEST(every_field_is_checked_and_a_refused_state_changes_nothing),
		MACHINE_TEST(truncated_and_flipped_states_never_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
