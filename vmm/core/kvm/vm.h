/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One KVM virtual machine: creation, memory slots, interrupts in, kicks out. All functions may be
 * called from any thread; those that change GSI routes take the VM's own lock. None of them blocks
 * on a peer.
 */
#ifndef BULKHEAD_VMM_CORE_KVM_VM_H
#define BULKHEAD_VMM_CORE_KVM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"

struct kvm_vm;

struct msi_message {
	uint64_t address;
	uint32_t data;
};

/*
 * Create a VM with in-kernel PIC, IOAPIC, LAPIC and PIT, TSS and identity map pages set. kvm_fd is
 * borrowed during the call. err says which capability the host lacks.
 */
struct kvm_vm *kvm_vm_new(int kvm_fd, struct error *err);
void kvm_vm_destroy(struct kvm_vm *vm); /* accepts NULL */
int kvm_vm_fd(const struct kvm_vm *vm);
int kvm_vm_system_fd(const struct kvm_vm *vm);		 /* of /dev/kvm, own duplicate */
unsigned kvm_vm_vcpu_map_bytes(const struct kvm_vm *vm); /* size of struct kvm_run's mapping */

/* KVM_SET_USER_MEMORY_REGION; hva stays mapped until the VM is gone. */
int kvm_vm_map_memory(struct kvm_vm *vm, uint32_t slot, uint64_t gpa, uint64_t size_bytes,
		      void *hva, struct error *err);

/* Drive the input of PIC/IOAPIC pin `gsi` (0..23). KVM_IRQ_LINE. */
void kvm_irq_line_set(struct kvm_vm *vm, uint32_t gsi, bool level);

/* A GSI of its own for one MSI source. Negative errno when none is left. */
int kvm_gsi_allocate(struct kvm_vm *vm);
void kvm_gsi_release(struct kvm_vm *vm, uint32_t gsi);

/* Point gsi at an MSI (KVM_SET_GSI_ROUTING); NULL removes its route. */
int kvm_gsi_route_msi(struct kvm_vm *vm, uint32_t gsi, const struct msi_message *msi);

/*
 * KVM_IRQFD: writes to eventfd (borrowed) raise gsi. Assigning injects at once what was written
 * before, which is how a masked vector's pending interrupt is kept: deassign while masked, the
 * count stays in the eventfd.
 */
int kvm_irqfd_assign(struct kvm_vm *vm, int eventfd, uint32_t gsi);
int kvm_irqfd_deassign(struct kvm_vm *vm, int eventfd, uint32_t gsi);

/* KVM_IOEVENTFD on an MMIO address: guest writes of any value of length_bytes (0: any length) kick
 * eventfd. */
int kvm_ioeventfd_assign(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes, int eventfd);
int kvm_ioeventfd_deassign(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes, int eventfd);

#endif
