/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vmm/core/pci/machine.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/pci/little_endian.h"
#include "vmm/core/platform/memory_map.h"

static void backend_activate(void *opaque, const struct virtio_activation *activation)
{
	struct machine *machine = opaque;

	machine->activations++;
	machine->activation = *activation;
}

static void backend_reset(void *opaque)
{
	struct machine *machine = opaque;

	machine->resets++;
}

static const struct virtio_backend_ops backend_ops = {
	.activate = backend_activate,
	.reset = backend_reset,
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct virtio_pci *machine_add_virtio(struct machine *machine, const char *id, int slot,
				      struct error *err)
{
	static const uint8_t config_space[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	static const uint16_t sizes[MACHINE_QUEUES] = {MACHINE_QUEUE_MAX, 128, 64};
	const struct virtio_pci_options options = {
		.id = id,
		.virtio_device_id = 2,
		.class_code = 0x018000,
		.features = MACHINE_FEATURES,
		.config_space = config_space,
		.config_space_bytes = sizeof(config_space),
		.queue_count = MACHINE_QUEUES,
		.queue_max_sizes = sizes,
	};

	return virtio_pci_new(&options, machine->vm, machine->pci, slot, &backend_ops, machine,
			      err);
}

static void layout_note_virtio(struct machine *machine, unsigned capability)
{
	uint32_t offset =
		(uint32_t)ecam_read(machine, machine->slot, capability + VIRTIO_PCI_CAP_OFFSET, 4);
	struct machine_layout *layout = &machine->layout;

	switch (ecam_read(machine, machine->slot, capability + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		layout->common = offset;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		layout->notify = offset;
		layout->notify_multiplier = (uint32_t)ecam_read(
			machine, machine->slot, capability + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		layout->isr = offset;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		layout->device = offset;
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		layout->access_capability = capability;
		break;
	default:
		abort();
	}
}

static void layout_find(struct machine *machine)
{
	unsigned slot = machine->slot;
	unsigned at = (unsigned)ecam_read(machine, slot, PCI_CAPABILITY_LIST, 1);

	for (unsigned i = 0; at != 0; i++) {
		require(i < 32);
		if (ecam_read(machine, slot, at, 1) == PCI_CAP_ID_MSIX) {
			machine->layout.msix_capability = at;
			machine->layout.msix_table =
				(uint32_t)ecam_read(machine, slot, at + PCI_MSIX_TABLE, 4);
			machine->layout.msix_pba =
				(uint32_t)ecam_read(machine, slot, at + PCI_MSIX_PBA, 4);
		} else {
			layout_note_virtio(machine, at);
		}
		at = (unsigned)ecam_read(machine, slot, at + PCI_CAP_LIST_NEXT, 1);
	}
}

void machine_init_bare(struct machine *machine)
{
	memset(machine, 0, sizeof(*machine));
	machine->pio = bus_new("pio");
	machine->mmio = bus_new("mmio");
	require(machine->pio && machine->mmio);
	machine->vm = fake_kvm_new();
	machine->pci = pci_bus_new(machine->pio, machine->mmio, NULL);
	require(machine->pci != NULL);
}

void machine_init(struct machine *machine)
{
	machine_init_bare(machine);
	machine->virtio = machine_add_virtio(machine, "disk", -1, NULL);
	require(machine->virtio != NULL);
	machine->slot = virtio_pci_slot(machine->virtio);
	layout_find(machine);
	ecam_write(machine, machine->slot, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

unsigned machine_destroy(struct machine *machine)
{
	virtio_pci_destroy(machine->virtio);
	pci_bus_destroy(machine->pci);
	bus_destroy(machine->pio);
	bus_destroy(machine->mmio);
	return fake_kvm_destroy(machine->vm);
}

int machine_setup(void **state)
{
	*state = malloc(sizeof(struct machine));
	require(*state != NULL);
	machine_init(*state);
	return 0;
}

int machine_teardown(void **state)
{
	unsigned left = machine_destroy(*state);

	free(*state);
	return left == 0 ? 0 : -1;
}

bool mmio_access(struct machine *machine, uint64_t gpa)
{
	uint8_t data[4];

	return bus_read(machine->mmio, gpa, data, 4);
}

uint64_t mmio_read(struct machine *machine, uint64_t gpa, unsigned length_bytes)
{
	uint8_t data[8];

	(void)bus_read(machine->mmio, gpa, data, length_bytes);
	return little_endian_load(data, length_bytes);
}

void mmio_write(struct machine *machine, uint64_t gpa, uint64_t value, unsigned length_bytes)
{
	uint8_t data[8];

	little_endian_store(data, length_bytes, value);
	(void)bus_write(machine->mmio, gpa, data, length_bytes);
}

uint64_t pio_read(struct machine *machine, unsigned port, unsigned length_bytes)
{
	uint8_t data[8];

	(void)bus_read(machine->pio, port, data, length_bytes);
	return little_endian_load(data, length_bytes);
}

void pio_write(struct machine *machine, unsigned port, uint64_t value, unsigned length_bytes)
{
	uint8_t data[8];

	little_endian_store(data, length_bytes, value);
	(void)bus_write(machine->pio, port, data, length_bytes);
}

uint64_t ecam_read(struct machine *machine, unsigned slot, unsigned offset, unsigned length_bytes)
{
	return mmio_read(machine, MAP_ECAM_START + ((uint64_t)slot << 15) + offset, length_bytes);
}

void ecam_write(struct machine *machine, unsigned slot, unsigned offset, uint64_t value,
		unsigned length_bytes)
{
	mmio_write(machine, MAP_ECAM_START + ((uint64_t)slot << 15) + offset, value, length_bytes);
}

uint64_t bar_gpa(struct machine *machine, unsigned slot)
{
	return ecam_read(machine, slot, PCI_BASE_ADDRESS_0, 4) & ~0xfULL;
}

uint64_t bar_read(struct machine *machine, uint32_t offset, unsigned length_bytes)
{
	return mmio_read(machine, bar_gpa(machine, machine->slot) + offset, length_bytes);
}

void bar_write(struct machine *machine, uint32_t offset, uint64_t value, unsigned length_bytes)
{
	mmio_write(machine, bar_gpa(machine, machine->slot) + offset, value, length_bytes);
}

uint64_t common_read(struct machine *machine, unsigned offset, unsigned length_bytes)
{
	return bar_read(machine, machine->layout.common + offset, length_bytes);
}

void common_write(struct machine *machine, unsigned offset, uint64_t value, unsigned length_bytes)
{
	bar_write(machine, machine->layout.common + offset, value, length_bytes);
}

void driver_negotiate(struct machine *machine, uint64_t features)
{
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	common_write(machine, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	common_write(machine, VIRTIO_PCI_COMMON_GF, features & 0xffffffff, 4);
	common_write(machine, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	common_write(machine, VIRTIO_PCI_COMMON_GF, features >> 32, 4);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
}

void driver_enable_queue(struct machine *machine, unsigned queue, uint64_t base)
{
	common_write(machine, VIRTIO_PCI_COMMON_Q_SELECT, queue, 2);
	common_write(machine, VIRTIO_PCI_COMMON_Q_SIZE, 32, 2);
	common_write(machine, VIRTIO_PCI_COMMON_Q_DESCLO, base & 0xffffffff, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_DESCHI, base >> 32, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_AVAILLO, (base + 0x1000) & 0xffffffff, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_AVAILHI, base >> 32, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_USEDLO, (base + 0x2000) & 0xffffffff, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_USEDHI, base >> 32, 4);
	common_write(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

void driver_start(struct machine *machine)
{
	driver_negotiate(machine, MACHINE_FEATURES);
	driver_enable_queue(machine, 0, 0x100000);
	driver_enable_queue(machine, 1, 0x120010000);
	common_write(machine, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
}

void driver_enable_msix(struct machine *machine)
{
	ecam_write(machine, machine->slot, machine->layout.msix_capability + PCI_MSIX_FLAGS,
		   PCI_MSIX_FLAGS_ENABLE, 2);
}

void driver_set_vector(struct machine *machine, unsigned vector, uint32_t data)
{
	uint32_t entry = machine->layout.msix_table + vector * PCI_MSIX_ENTRY_SIZE;

	bar_write(machine, entry + PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS, 4);
	bar_write(machine, entry + PCI_MSIX_ENTRY_UPPER_ADDR, MSI_ADDRESS >> 32, 4);
	bar_write(machine, entry + PCI_MSIX_ENTRY_DATA, data, 4);
	bar_write(machine, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
}

void driver_mask_vector(struct machine *machine, unsigned vector, bool masked)
{
	uint32_t entry = machine->layout.msix_table + vector * PCI_MSIX_ENTRY_SIZE;

	bar_write(machine, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, masked, 4);
}

uint64_t eventfd_take(int eventfd)
{
	uint64_t count;

	return read(eventfd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}
