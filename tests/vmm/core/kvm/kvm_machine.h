/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A KVM machine of 64 KiB with real-mode code at CODE_GPA, on the host's own KVM: what a test of
 * vCPUs needs and no more. Everything outside of memory is MMIO.
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_KVM_KVM_MACHINE_H
#define BULKHEAD_TESTS_VMM_CORE_KVM_KVM_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdbool.h>

#include "vmm/core/kvm/vcpu.h"

#define MEMORY_BYTES	0x10000U
#define CODE_GPA	0x1000U
#define CODE_BYTES	0x100U /* for each vCPU */
#define COUNTER_GPA	0x500U /* what spinning guests count */
#define NMI_HANDLER_GPA 0x2000U
#define PORT_UNDER_TEST 0x10U
#define MMIO_UNDER_TEST 0xb0000U
#define WAIT_MS		10000U

struct kvm_machine {
	int kvm_fd;
	struct kvm_vm *vm;
	struct bus *pio, *mmio;
	uint8_t *memory;
	struct vcpu_set *set;
	_Atomic unsigned parked, fatal;
	_Atomic enum vcpu_fatal what;
	/* Accesses to the port and to the MMIO page. */
	_Atomic unsigned port_accesses, mmio_accesses;
	_Atomic uint64_t last_mmio_offset;
	/* Called on the vCPU's thread within the access. */
	void (*on_port)(struct kvm_machine *machine);
	void (*on_mmio)(struct kvm_machine *machine);
};

/* False: this machine has no KVM; the reason was printed. */
bool kvm_machine_possible(void);

/* vCPU i is parked at CODE_GPA + i * CODE_BYTES with that code. */
void kvm_machine_init(struct kvm_machine *machine, unsigned vcpus);
void kvm_machine_destroy(struct kvm_machine *machine);

void kvm_machine_code(struct kvm_machine *machine, unsigned vcpu, const uint8_t *code,
		      size_t bytes);
/* Let vCPU i start its code, whatever it did before. It is parked. */
void kvm_machine_aim(struct kvm_machine *machine, unsigned vcpu);

void kvm_machine_park(struct kvm_machine *machine); /* and wait */
uint16_t kvm_machine_counter(const struct kvm_machine *machine);
/* Wait until the counter has moved. */
void kvm_machine_wait_progress(const struct kvm_machine *machine);
/* Wait until *value is at least `least`. */
void kvm_machine_wait(const _Atomic unsigned *value, unsigned least);
void kvm_machine_sleep_ms(unsigned milliseconds);

/* inc word [COUNTER_GPA]; jmp back */
extern const uint8_t kvm_code_count[6];

#endif
