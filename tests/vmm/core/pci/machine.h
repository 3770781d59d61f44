/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine around the devices under test: both buses, the PCI root, the stand-in for KVM, one
 * virtio device with a backend that records what it is asked, and accesses as a guest makes them.
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_PCI_MACHINE_H
#define BULKHEAD_TESTS_VMM_CORE_PCI_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/vmm/core/pci/fake_kvm.h"
#include "vmm/core/pci/pci_bus.h"
#include "vmm/core/pci/virtio_pci.h"
#include "vmm/core/platform/bus.h"

#define MACHINE_QUEUES	  3
#define MACHINE_FEATURES  (1ULL << 32 | 1ULL << 29 | 1ULL << 5)
#define MACHINE_QUEUE_MAX 256

/* Offsets of the structures in BAR 0, found through the capabilities. */
struct machine_layout {
	uint32_t common, isr, device, notify, msix_table, msix_pba;
	uint32_t notify_multiplier;
	unsigned msix_capability, access_capability;
};

struct machine {
	struct bus *pio, *mmio;
	struct pci_bus *pci;
	struct kvm_vm *vm;
	struct virtio_pci *virtio;
	unsigned slot;
	struct machine_layout layout;
	/* what the backend was asked */
	unsigned activations, resets;
	struct virtio_activation activation;
};

void machine_init(struct machine *machine);	 /* with one virtio device, found and enabled */
void machine_init_bare(struct machine *machine); /* without devices */
/* Returns what was left behind in KVM. */
unsigned machine_destroy(struct machine *machine);

struct virtio_pci *machine_add_virtio(struct machine *machine, const char *id, int slot,
				      struct error *err);

/* cmocka fixtures: *state is a struct machine. */
int machine_setup(void **state);
int machine_teardown(void **state);

uint64_t ecam_read(struct machine *machine, unsigned slot, unsigned offset, unsigned length_bytes);
void ecam_write(struct machine *machine, unsigned slot, unsigned offset, uint64_t value,
		unsigned length_bytes);
/* False when nobody claimed the access. */
bool mmio_access(struct machine *machine, uint64_t gpa);
uint64_t mmio_read(struct machine *machine, uint64_t gpa, unsigned length_bytes);
void mmio_write(struct machine *machine, uint64_t gpa, uint64_t value, unsigned length_bytes);
uint64_t pio_read(struct machine *machine, unsigned port, unsigned length_bytes);
void pio_write(struct machine *machine, unsigned port, uint64_t value, unsigned length_bytes);

/* Relative to BAR 0 of the machine's virtio device. */
uint64_t bar_gpa(struct machine *machine, unsigned slot);
uint64_t bar_read(struct machine *machine, uint32_t offset, unsigned length_bytes);
void bar_write(struct machine *machine, uint32_t offset, uint64_t value, unsigned length_bytes);
uint64_t common_read(struct machine *machine, unsigned offset, unsigned length_bytes);
void common_write(struct machine *machine, unsigned offset, uint64_t value, unsigned length_bytes);

/* As a driver: negotiate `features` up to FEATURES_OK, set up and enable queue 0 and 1, DRIVER_OK.
 */
void driver_negotiate(struct machine *machine, uint64_t features);
void driver_enable_queue(struct machine *machine, unsigned queue, uint64_t base);
void driver_start(struct machine *machine);

#define MSI_ADDRESS 0xfee00000ULL
/* As a driver: switch MSI-X on, and give a vector a message, unmasked. */
void driver_enable_msix(struct machine *machine);
void driver_set_vector(struct machine *machine, unsigned vector, uint32_t data);
void driver_mask_vector(struct machine *machine, unsigned vector, bool masked);

/* How often an eventfd was signalled since the last look. */
uint64_t eventfd_take(int eventfd);

#endif
