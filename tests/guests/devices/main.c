/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds every virtio device on bus 0 and exercises it. Writes to the last 256 sectors of each
 * writable disk. Options: expect_blk=N expect_rng=N expect_console=N (how many must be there),
 * echo_ms=N (how long to wait for a line of console input to echo; default 0), strict_features=1.
 */
#include "cmdline.h"
#include "devices.h"
#include "guest.h"
#include "print.h"
#include "string.h"

struct device_kind {
	uint16_t type;
	const char *name;
	const char *expect_option;
	void (*check)(const struct virtio_device *device, uint32_t index);
};

static const struct device_kind kinds[] = {
	{VIRTIO_BLOCK, "blk", "expect_blk", devices_check_blk},
	{VIRTIO_RNG, "rng", "expect_rng", devices_check_rng},
	{VIRTIO_CONSOLE, "console", "expect_console", devices_check_console},
};

static struct pci_bus bus;

const char *devices_name(const char *prefix, const char *check)
{
	static char name[96];
	size_t prefix_length = strlen(prefix);
	size_t check_length = strlen(check);

	if (prefix_length + check_length + 2 > sizeof(name)) {
		return check;
	}
	memcpy(name, prefix, prefix_length);
	name[prefix_length] = '.';
	memcpy(name + prefix_length + 1, check, check_length + 1);
	return name;
}

static void devices_print_list(void)
{
	for (uint32_t i = 0; i < bus.device_count; i++) {
		const struct pci_device *device = &bus.devices[i];

		print("pci 00:%02x.%u %04x:%04x class %04x\n", device->slot, device->function,
		      device->vendor_id, device->device_id, device->class_code);
	}
}

static void devices_check_kind(const struct device_kind *kind)
{
	struct virtio_device device;
	uint32_t count = 0;

	for (uint32_t i = 0; i < bus.device_count; i++) {
		const struct pci_device *pci = &bus.devices[i];
		const char *problem;

		if (pci->vendor_id != VIRTIO_VENDOR_ID ||
		    pci->device_id != VIRTIO_PCI_DEVICE_BASE + kind->type) {
			continue;
		}
		problem = virtio_pci_probe(&device, &bus, pci);
		if (problem != NULL) {
			test_fail(devices_name(kind->name, "probe"), "slot %u: %s", pci->slot,
				  problem);
			continue;
		}
		print("%s%u slot %u features %lx msix %u queues %u\n", kind->name, count, pci->slot,
		      virtio_read_device_features(&device), device.msix.entry_count,
		      virtio_queue_count(&device));
		kind->check(&device, count++);
	}
	if (cmdline_has(kind->expect_option) && count != cmdline_number(kind->expect_option, 0)) {
		test_fail(devices_name(kind->name, "count"), "found %u", count);
	}
}

void guest_main(void)
{
	pci_scan(&bus);
	devices_print_list();
	devices_check_platform(&bus);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		devices_check_kind(&kinds[i]);
	}
}
