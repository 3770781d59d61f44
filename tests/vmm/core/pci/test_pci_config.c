/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/core/pci/little_endian.h"
#include "vmm/core/pci/pci_config.h"

static const struct pci_identity identity = {
	.vendor_id = 0x1af4,
	.device_id = 0x1042,
	.subsystem_vendor_id = 0x1234,
	.subsystem_id = 0x5678,
	.class_code = 0x018005,
	.revision = 1,
};

static uint64_t config_load(const struct pci_config *config, unsigned offset, unsigned length_bytes)
{
	uint8_t data[8];

	pci_config_read(config, offset, data, length_bytes);
	return little_endian_load(data, length_bytes);
}

static void config_store(struct pci_config *config, unsigned offset, uint64_t value,
			 unsigned length_bytes)
{
	uint8_t data[8];

	little_endian_store(data, length_bytes, value);
	pci_config_write(config, offset, data, length_bytes);
}

static void the_header_holds_the_identity(void **state)
{
	struct pci_config config;

	(void)state;
	pci_config_init(&config, &identity);
	assert_int_equal(config_load(&config, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(config_load(&config, PCI_CLASS_REVISION, 4), 0x01800501);
	assert_int_equal(config_load(&config, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(config_load(&config, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(config_load(&config, PCI_INTERRUPT_PIN, 1), 0);
}

static void read_only_registers_ignore_writes(void **state)
{
	struct pci_config config;

	(void)state;
	pci_config_init(&config, &identity);
	for (unsigned offset = 0; offset < PCI_CONFIG_BYTES; offset += 4)
		config_store(&config, offset, 0xffffffff, 4);
	assert_int_equal(config_load(&config, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(config_load(&config, PCI_CLASS_REVISION, 4), 0x01800501);
	assert_int_equal(config_load(&config, PCI_BASE_ADDRESS_0, 4), 0);
	assert_int_equal(config_load(&config, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(config_load(&config, PCI_COMMAND, 2), 0x0546);
}

static void status_bits_are_cleared_by_writing_one(void **state)
{
	struct pci_config config;

	(void)state;
	pci_config_init(&config, &identity);
	little_endian_store(&config.bytes[PCI_STATUS], 2,
			    PCI_STATUS_DETECTED_PARITY | PCI_STATUS_REC_MASTER_ABORT |
				    PCI_STATUS_CAP_LIST);
	config_store(&config, PCI_STATUS, PCI_STATUS_DETECTED_PARITY | PCI_STATUS_CAP_LIST, 2);
	assert_int_equal(config_load(&config, PCI_STATUS, 2),
			 PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_CAP_LIST);
}

static void a_bar_tells_its_size(void **state)
{
	struct pci_config config;

	(void)state;
	pci_config_init(&config, &identity);
	pci_config_add_bar(&config, 1, 0x8000);
	config_store(&config, PCI_BASE_ADDRESS_1, 0xffffffff, 4);
	assert_int_equal(config_load(&config, PCI_BASE_ADDRESS_1, 4), 0xffff8000);
	config_store(&config, PCI_BASE_ADDRESS_1, 0xc0012345, 4);
	assert_int_equal(pci_config_bar_address(&config, 1), 0xc0010000);
}

static void bytes_and_words_are_written_alone(void **state)
{
	struct pci_config config;

	(void)state;
	pci_config_init(&config, &identity);
	pci_config_add_bar(&config, 0, 0x1000);
	config_store(&config, PCI_BASE_ADDRESS_0 + 3, 0xc0, 1);
	config_store(&config, PCI_BASE_ADDRESS_0 + 1, 0x1234, 2);
	assert_int_equal(config_load(&config, PCI_BASE_ADDRESS_0, 4), 0xc0123000);
}

static void accesses_past_the_end_read_ones_and_write_nothing(void **state)
{
	struct pci_config config;

	(void)state;
	pci_config_init(&config, &identity);
	config_store(&config, PCI_CONFIG_BYTES - 2, 0, 8);
	config_store(&config, 0xffc, 0, 8);
	assert_int_equal(config_load(&config, PCI_CONFIG_BYTES - 2, 4), 0xffff0000);
	assert_int_equal(config_load(&config, PCI_CONFIG_BYTES, 4), 0xffffffff);
}

static void capabilities_form_a_list(void **state)
{
	static const uint8_t body[18] = {1, 2, 3};
	struct pci_config config;
	int first, second;

	(void)state;
	pci_config_init(&config, &identity);
	assert_false(config_load(&config, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	first = pci_config_add_capability(&config, PCI_CAP_ID_MSIX, body, 11);
	second = pci_config_add_capability(&config, PCI_CAP_ID_VNDR, body, 20);
	assert_int_equal(config_load(&config, PCI_CAPABILITY_LIST, 1), first);
	assert_int_equal(config_load(&config, (unsigned)first, 2),
			 PCI_CAP_ID_MSIX | (unsigned)second << 8);
	assert_int_equal(second % 4, 0);
	assert_int_equal(config_load(&config, (unsigned)second, 4), 0x02010000 | PCI_CAP_ID_VNDR);
	assert_true(config_load(&config, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
}

static void capabilities_that_do_not_fit_are_refused(void **state)
{
	static const uint8_t body[18];
	struct pci_config config;
	unsigned count = 0;

	(void)state;
	pci_config_init(&config, &identity);
	while (pci_config_add_capability(&config, PCI_CAP_ID_VNDR, body, 20) > 0)
		count++;
	assert_int_equal(count, (PCI_CONFIG_BYTES - 0x40) / 20);
}

static void reset_gives_back_what_was_there_at_power_on(void **state)
{
	struct pci_config config;

	(void)state;
	pci_config_init(&config, &identity);
	pci_config_add_bar(&config, 0, 0x1000);
	pci_config_set_bar_address(&config, 0, 0xc0001000);
	pci_config_set_initial(&config);
	config_store(&config, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	config_store(&config, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(pci_config_memory_enabled(&config));
	pci_config_reset(&config);
	assert_int_equal(pci_config_bar_address(&config, 0), 0xc0001000);
	assert_false(pci_config_memory_enabled(&config));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_holds_the_identity),
		cmocka_unit_test(read_only_registers_ignore_writes),
		cmocka_unit_test(status_bits_are_cleared_by_writing_one),
		cmocka_unit_test(a_bar_tells_its_size),
		cmocka_unit_test(bytes_and_words_are_written_alone),
		cmocka_unit_test(accesses_past_the_end_read_ones_and_write_nothing),
		cmocka_unit_test(capabilities_form_a_list),
		cmocka_unit_test(capabilities_that_do_not_fit_are_refused),
		cmocka_unit_test(reset_gives_back_what_was_there_at_power_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
