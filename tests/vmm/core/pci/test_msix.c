/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/vmm/core/pci/machine.h"
#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/msix.h"

#define VECTORS 3

struct fixture {
	struct kvm_vm *vm;
	struct msix msix;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture.vm = fake_kvm_new();
	*state = &fixture;
	return msix_init(&fixture.msix, fixture.vm, VECTORS, NULL);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	msix_destroy(&fixture->msix);
	return (int)fake_kvm_destroy(fixture->vm);
}

static void table_store(struct msix *msix, unsigned vector, unsigned field, uint64_t value,
			unsigned length_bytes)
{
	uint8_t data[8];

	little_endian_store(data, length_bytes, value);
	msix_table_write(msix, vector * MSIX_ENTRY_BYTES + field, data, length_bytes);
}

static uint64_t table_load(struct msix *msix, uint64_t offset, unsigned length_bytes)
{
	uint8_t data[8];

	msix_table_read(msix, offset, data, length_bytes);
	return little_endian_load(data, length_bytes);
}

static uint64_t pending_bits(struct msix *msix)
{
	uint8_t data[8];

	msix_pba_read(msix, 0, data, 8);
	return little_endian_load(data, 8);
}

/* Vector i: message data 0x40 + i, unmasked, with source i. */
static void arm(struct msix *msix, unsigned vector)
{
	table_store(msix, vector, PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS, 8);
	table_store(msix, vector, PCI_MSIX_ENTRY_DATA, 0x40 + vector, 4);
	table_store(msix, vector, PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	msix_bind_source(msix, vector, (uint16_t)vector);
}

static void all_vectors_are_masked_at_first(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(
			table_load(&fixture->msix, i * 16ULL + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 0);
	assert_int_equal(fixture->vm->route_changes, 0);
}

static void an_unmasked_vector_delivers_its_message(void **state)
{
	struct fixture *fixture = *state;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 1);
	msix_source_signal(&fixture->msix, 1);
	assert_int_equal(pending_bits(&fixture->msix), 0);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x41), 1);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x41), 0);
}

static void a_masked_vector_keeps_its_interrupt_pending_until_unmasked(void **state)
{
	struct fixture *fixture = *state;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 2);
	table_store(&fixture->msix, 2, PCI_MSIX_ENTRY_VECTOR_CTRL, 1, 4);
	msix_source_signal(&fixture->msix, 2);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x42), 0);
	assert_int_equal(pending_bits(&fixture->msix), 1 << 2);
	table_store(&fixture->msix, 2, PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x42), 1);
	assert_int_equal(pending_bits(&fixture->msix), 0);
}

static void masking_and_unmasking_leaves_the_routes_alone(void **state)
{
	struct fixture *fixture = *state;
	unsigned changes;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	changes = fixture->vm->route_changes;
	for (unsigned i = 0; i < 10; i++)
		table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_VECTOR_CTRL, !(i & 1), 4);
	assert_int_equal(fixture->vm->route_changes, changes);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 1);
}

static void a_message_changed_under_mask_costs_one_route(void **state)
{
	struct fixture *fixture = *state;
	unsigned changes;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	changes = fixture->vm->route_changes;
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_VECTOR_CTRL, 1, 4);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS | 0x1000, 4);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA, 0x77, 4);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	assert_int_equal(fixture->vm->route_changes, changes + 1);
	msix_source_signal(&fixture->msix, 0);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS | 0x1000, 0x77), 1);
}

static void a_message_changed_while_unmasked_is_the_one_delivered(void **state)
{
	struct fixture *fixture = *state;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA, 0x99, 4);
	msix_source_signal(&fixture->msix, 0);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x99), 1);
}

static void the_function_mask_and_the_enable_bit_hold_all_vectors(void **state)
{
	struct fixture *fixture = *state;

	arm(&fixture->msix, 0);
	arm(&fixture->msix, 1);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 0);
	msix_set_control(&fixture->msix, true, true);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 0);
	msix_source_signal(&fixture->msix, 0);
	assert_int_equal(pending_bits(&fixture->msix), 1);
	msix_set_control(&fixture->msix, true, false);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 2);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x40), 1);
	msix_set_control(&fixture->msix, false, false);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 0);
}

static void several_sources_share_a_vector(void **state)
{
	struct fixture *fixture = *state;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	msix_bind_source(&fixture->msix, 1, 0);
	msix_bind_source(&fixture->msix, 2, 0);
	msix_source_signal(&fixture->msix, 1);
	msix_source_signal(&fixture->msix, 2);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x40), 2);
	msix_bind_source(&fixture->msix, 2, MSIX_NO_VECTOR);
	msix_source_signal(&fixture->msix, 2);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x40), 0);
	assert_int_equal(pending_bits(&fixture->msix), 0);
}

static void a_message_outside_of_the_local_apics_is_not_delivered(void **state)
{
	static const uint64_t addresses[] = {0, 0xfed00000, 0xfef00000, 0x1fee00000, UINT64_MAX};
	struct fixture *fixture = *state;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_LOWER_ADDR, addresses[i], 8);
		assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 0);
	}
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS, 8);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 1);
}

static void a_route_that_kvm_refuses_leaves_the_vector_silent_and_is_tried_again(void **state)
{
	struct fixture *fixture = *state;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	fixture->vm->refuse_routes = true;
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA, 0x55, 4);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 0);
	fixture->vm->refuse_routes = false;
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	msix_source_signal(&fixture->msix, 0);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x55), 1);
	/* and what KVM still has of it is removed at the end */
	fixture->vm->refuse_routes = true;
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA, 0x56, 4);
	fixture->vm->refuse_routes = false;
}

static void odd_table_accesses_are_harmless(void **state)
{
	struct fixture *fixture = *state;

	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA, 0x12345678, 4);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA, 0xff, 1);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA, 0xffff, 2);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_DATA + 2, 0xffffffff, 4);
	assert_int_equal(table_load(&fixture->msix, PCI_MSIX_ENTRY_DATA, 4), 0x12345678);
	assert_int_equal(table_load(&fixture->msix, PCI_MSIX_ENTRY_DATA + 1, 2), 0x3456);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_VECTOR_CTRL, 0xffffffff, 4);
	assert_int_equal(table_load(&fixture->msix, PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	table_store(&fixture->msix, VECTORS, 0, UINT64_MAX, 8);
	table_store(&fixture->msix, VECTORS - 1, 12, UINT64_MAX, 8);
	assert_int_equal(table_load(&fixture->msix, VECTORS * 16ULL, 8), 0);
	assert_int_equal(table_load(&fixture->msix, VECTORS * 16ULL - 4, 8), 1);
	assert_int_equal(table_load(&fixture->msix, 4092, 8), 0);
}

static void reset_forgets_everything(void **state)
{
	struct fixture *fixture = *state;

	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	table_store(&fixture->msix, 0, PCI_MSIX_ENTRY_VECTOR_CTRL, 1, 4);
	msix_source_signal(&fixture->msix, 0);
	msix_reset(&fixture->msix);
	assert_int_equal(table_load(&fixture->msix, 0, 8), 0);
	assert_int_equal(fake_kvm_irqfd_count(fixture->vm), 0);
	msix_set_control(&fixture->msix, true, false);
	arm(&fixture->msix, 0);
	assert_int_equal(fake_kvm_deliver(fixture->vm, MSI_ADDRESS, 0x40), 0);
}

static void running_out_of_gsis_is_an_error_that_leaves_nothing(void **state)
{
	struct kvm_vm *vm = fake_kvm_new();
	struct msix msix;
	struct error err = ERROR_INIT;

	(void)state;
	vm->gsi_limit = 26;
	assert_true(msix_init(&msix, vm, 4, &err) < 0);
	assert_int_not_equal(err.code, 0);
	msix_destroy(&msix);
	assert_int_equal(fake_kvm_destroy(vm), 0);
}

#define MSIX_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MSIX_TEST(all_vectors_are_masked_at_first),
		MSIX_TEST(an_unmasked_vector_delivers_its_message),
		MSIX_TEST(a_masked_vector_keeps_its_interrupt_pending_until_unmasked),
		MSIX_TEST(masking_and_unmasking_leaves_the_routes_alone),
		MSIX_TEST(a_message_changed_under_mask_costs_one_route),
		MSIX_TEST(a_message_changed_while_unmasked_is_the_one_delivered),
		MSIX_TEST(the_function_mask_and_the_enable_bit_hold_all_vectors),
		MSIX_TEST(several_sources_share_a_vector),
		MSIX_TEST(a_message_outside_of_the_local_apics_is_not_delivered),
		MSIX_TEST(a_route_that_kvm_refuses_leaves_the_vector_silent_and_is_tried_again),
		MSIX_TEST(odd_table_accesses_are_harmless),
		MSIX_TEST(reset_forgets_everything),
		cmocka_unit_test(running_out_of_gsis_is_an_error_that_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
