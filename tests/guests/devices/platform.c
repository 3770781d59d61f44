/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables and PCI configuration space. */
#include <stddef.h>

#include "acpi.h"
#include "boot_info.h"
#include "devices.h"
#include "guest.h"
#include "mmio.h"
#include "print.h"

static void platform_check_tables(void)
{
	const struct acpi_header *table;
	uint32_t count = 0;
	uint32_t bad = 0;

	for (; (table = acpi_table_at(count)) != NULL; count++) {
		print("acpi %c%c%c%c length %u\n", table->signature[0], table->signature[1],
		      table->signature[2], table->signature[3], table->length);
		bad += acpi_checksum_ok(table) ? 0 : 1;
	}
	test_check("acpi_has_tables", count > 0, "no table reached from the RSDP");
	test_check("acpi_checksums_are_right", bad == 0, "a table does not add up to zero");
	test_check("acpi_has_fadt", acpi_find_table("FACP") != NULL, "missing");
	test_check("acpi_has_madt", acpi_find_table("APIC") != NULL, "missing");
}

static void platform_check_ecam(const struct pci_bus *bus)
{
	for (uint32_t i = 0; i < bus->device_count; i++) {
		const struct pci_device *device = &bus->devices[i];

		for (uint16_t offset = 0; offset < 0x100; offset = (uint16_t)(offset + 4)) {
			uint32_t by_port = pci_read32(device, offset);
			uint32_t by_ecam = mmio_read32(pci_ecam_address(bus, device, offset));

			if (by_port != by_ecam) {
				test_fail("ecam_shows_what_the_ports_show",
					  "slot %u offset %x: %x and %x", device->slot, offset,
					  by_port, by_ecam);
				return;
			}
		}
	}
	test_ok("ecam_shows_what_the_ports_show");
}

static void platform_check_ecam_write(const struct pci_bus *bus, const struct pci_device *device)
{
	uint64_t gpa = pci_ecam_address(bus, device, PCI_COMMAND);
	uint16_t before = pci_read16(device, PCI_COMMAND);
	uint16_t changed = before ^ PCI_COMMAND_NO_INTX;

	mmio_write16(gpa, changed);
	test_check("ecam_write_is_seen_through_the_ports",
		   pci_read16(device, PCI_COMMAND) == changed,
		   "the command register did not change");
	pci_write16(device, PCI_COMMAND, before);
}

static void platform_check_absent_slot(const struct pci_bus *bus)
{
	struct pci_device absent = {.slot = 31};

	for (uint32_t i = 0; i < bus->device_count; i++) {
		if (bus->devices[i].slot == absent.slot && absent.slot > 0) {
			absent.slot--;
			i = UINT32_MAX; /* look again from the start with the next slot */
		}
	}
	test_check("absent_slot_reads_all_ones", pci_read32(&absent, PCI_VENDOR_ID) == 0xFFFFFFFFu,
		   "something answers");
	if (bus->ecam_gpa != 0) {
		test_check("absent_slot_reads_all_ones_in_ecam",
			   mmio_read32(pci_ecam_address(bus, &absent, PCI_VENDOR_ID)) ==
				   0xFFFFFFFFu,
			   "something answers");
	}
}

static void platform_check_bars(const struct pci_bus *bus)
{
	for (uint32_t i = 0; i < bus->device_count; i++) {
		const struct pci_device *device = &bus->devices[i];

		if (device->vendor_id != VIRTIO_VENDOR_ID) {
			continue;
		}
		for (unsigned int index = 0; index < PCI_BAR_COUNT; index++) {
			struct pci_bar bar = pci_read_bar(device, index);

			if (!bar.is_io && bar.size_bytes != 0 &&
			    ((bar.address & (bar.size_bytes - 1)) != 0 ||
			     boot_info_is_ram(bar.address, 1))) {
				test_fail("virtio_bars_are_aligned_and_outside_ram",
					  "slot %u bar %u at %lx", device->slot, index,
					  bar.address);
				return;
			}
			index += bar.is_64_bit ? 1 : 0;
		}
	}
	test_ok("virtio_bars_are_aligned_and_outside_ram");
}

void devices_check_platform(const struct pci_bus *bus)
{
	platform_check_tables();
	if (!test_check("pci_bus_has_devices", bus->device_count > 0, "none found")) {
		return;
	}
	test_check("mcfg_names_an_ecam_window", bus->ecam_gpa != 0, "no MCFG for bus 0");
	if (bus->ecam_gpa != 0) {
		platform_check_ecam(bus);
		platform_check_ecam_write(bus, &bus->devices[bus->device_count - 1]);
	}
	platform_check_absent_slot(bus);
	platform_check_bars(bus);
}
