/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X of one device (PCI 3.0, 6.8.2): the vector table, the pending bits, and the interrupt
 * sources (eventfds) that are bound to vectors.
 *
 * Every source has a GSI of its own. While its vector can deliver, the GSI is routed to the
 * vector's message and the eventfd is an irqfd, so that whoever holds the eventfd interrupts the
 * guest without the core. Otherwise the irqfd is taken off: what is signalled stays in the
 * eventfd's count, is shown as the pending bit, and is injected by KVM when the irqfd comes back.
 *
 * Embedded in its device and used under the device's mutex.
 */
#ifndef BULKHEAD_VMM_CORE_PCI_MSIX_H
#define BULKHEAD_VMM_CORE_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "vmm/core/kvm/vm.h"

#define MSIX_MAX_VECTORS     17
#define MSIX_ENTRY_BYTES     16
#define MSIX_CAPABILITY_SIZE 12
#define MSIX_NO_VECTOR	     0xffff

struct msix_source {
	int eventfd; /* owned, non-blocking */
	int gsi;     /* negative: none */
	uint16_t vector;
	bool assigned; /* eventfd is an irqfd */
	bool routed;   /* gsi has a route: to message, if the last change was accepted */
	struct msi_message message;
};

struct msix {
	struct kvm_vm *vm;
	unsigned vector_count;
	unsigned source_count;
	bool enabled;
	bool function_masked;
	uint8_t table[MSIX_MAX_VECTORS * MSIX_ENTRY_BYTES];
	struct msix_source sources[MSIX_MAX_VECTORS];
};

/* As many sources as vectors, all unbound; everything masked. On failure destroy it too. */
int msix_init(struct msix *msix, struct kvm_vm *vm, unsigned vector_count, struct error *err);
void msix_destroy(struct msix *msix); /* accepts a zeroed object */

/* After power-on: disabled, all vectors masked, sources unbound, nothing pending. */
void msix_reset(struct msix *msix);

/* The body of the capability (after its two header bytes), table and PBA in BAR 0. */
void msix_fill_capability(const struct msix *msix, uint32_t table_offset, uint32_t pba_offset,
			  uint8_t body[MSIX_CAPABILITY_SIZE - 2]);

/* The message control register's two bits. */
void msix_set_control(struct msix *msix, bool enabled, bool function_masked);

/* Guest accesses of any size. Only aligned 4- and 8-byte writes have an effect (PCI 3.0, 6.8.2). */
void msix_table_read(const struct msix *msix, uint64_t offset, uint8_t *data,
		     unsigned length_bytes);
void msix_table_write(struct msix *msix, uint64_t offset, const uint8_t *data,
		      unsigned length_bytes);
void msix_pba_read(const struct msix *msix, uint64_t offset, uint8_t *data, unsigned length_bytes);

/* Load an entry of the table. */
void msix_set_entry(struct msix *msix, unsigned vector, uint64_t address, uint32_t data,
		    bool masked);

/* Bind a source to a vector, or to MSIX_NO_VECTOR. */
void msix_bind_source(struct msix *msix, unsigned source, uint16_t vector);

/* Whether a source was signalled and could not deliver. */
bool msix_source_is_pending(const struct msix *msix, unsigned source);

/* Forget what is pending; whether there was something. */
bool msix_source_drain(struct msix *msix, unsigned source);

void msix_source_signal(const struct msix *msix, unsigned source);

#endif
