/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for vmm/core/kvm/vm.c: keeps the books that KVM keeps about GSIs, irqfds and
 * ioeventfds, refuses what KVM refuses, and delivers when told to. Link it instead of vm.o.
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_PCI_FAKE_KVM_H
#define BULKHEAD_TESTS_VMM_CORE_PCI_FAKE_KVM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/kvm/vm.h"

#define FAKE_KVM_GSIS	    1024
#define FAKE_KVM_IOEVENTFDS 1024

struct fake_gsi {
	bool allocated;
	bool routed;
	struct msi_message message;
	int irqfd; /* -1: none */
};

struct fake_ioeventfd {
	bool used;
	uint64_t gpa;
	unsigned length_bytes;
	int eventfd;
};

struct kvm_vm {
	pthread_mutex_t lock; /* vm.h may be called from any thread */
	struct fake_gsi gsis[FAKE_KVM_GSIS];
	struct fake_ioeventfd ioeventfds[FAKE_KVM_IOEVENTFDS];
	unsigned route_changes;
	unsigned misuses; /* calls that KVM would refuse, or that leave something behind */
	bool refuse_any_length;
	bool refuse_ioeventfds;
	bool refuse_routes;
	unsigned gsi_limit; /* 0: all */
};

struct kvm_vm *fake_kvm_new(void);

/* Frees; returns how many things were left: GSIs, routes, irqfds, ioeventfds and misuses. */
unsigned fake_kvm_destroy(struct kvm_vm *vm);

unsigned fake_kvm_irqfd_count(const struct kvm_vm *vm);
unsigned fake_kvm_ioeventfd_count(const struct kvm_vm *vm);

/* A guest write to gpa: true when an ioeventfd took it. */
bool fake_kvm_guest_write(struct kvm_vm *vm, uint64_t gpa, unsigned length_bytes);

/* Let all irqfds deliver what is in them; returns how many interrupts with this message. */
unsigned fake_kvm_deliver(struct kvm_vm *vm, uint64_t address, uint32_t data);

#endif
