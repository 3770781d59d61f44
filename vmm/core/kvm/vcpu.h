/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual CPUs: one thread each, named vcpuN, and the switch that starts and stops them
 * together.
 *
 * Stopping is asked for from any thread and never waited for: the last vCPU that parks calls
 * all_parked(). A parked vCPU has completed its last exit, so its registers are whole (KVM_RUN,
 * immediate_exit). Registers of parked vCPUs may be read and written from the loop thread.
 */
#ifndef BULKHEAD_VMM_CORE_KVM_VCPU_H
#define BULKHEAD_VMM_CORE_KVM_VCPU_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "devworkers/common/sandbox.h"
#include "ipc/error.h"
#include "vmm/core/kvm/vm.h"
#include "vmm/core/platform/bus.h"

#define VCPU_MAX 16

enum vcpu_fatal {
	VCPU_FATAL_TRIPLE_FAULT,
	VCPU_FATAL_EMULATION, /* KVM cannot run an instruction of the guest on this host */
	VCPU_FATAL_INTERNAL,  /* anything else that KVM gives up on */
};

struct vcpu_set_options {
	struct kvm_vm *vm;
	struct bus *pio, *mmio;
	unsigned count;			   /* 1..VCPU_MAX */
	unsigned max;			   /* for the topology */
	enum sandbox_seccomp_mode seccomp; /* of the vCPU threads' own policy */
	void *opaque;
	/* Both are called on a vCPU thread and must only post. fatal: this vCPU has parked itself
	 * for good. */
	void (*all_parked)(void *opaque);
	void (*fatal)(void *opaque, unsigned index, enum vcpu_fatal what, const char *text);
};

struct vcpu_set;

/* Create vCPUs and their parked threads, registers in power-on state. NULL with err set. */
struct vcpu_set *vcpu_set_new(const struct vcpu_set_options *options, struct error *err);

/* Stop and join all threads (they leave KVM_RUN at once when kicked); accepts NULL. Loop thread. */
void vcpu_set_destroy(struct vcpu_set *set);

/*
 * While a vCPU runs, its fd belongs to its thread: KVM makes every other ioctl on it wait until
 * KVM_RUN is over, which may be never.
 */
unsigned vcpu_set_count(const struct vcpu_set *set);
int vcpu_set_fd(const struct vcpu_set *set, unsigned index);
int32_t vcpu_set_thread_id(const struct vcpu_set *set,
			   unsigned index); /* 0: it has not begun yet */

/* What vCPU `index` was told to be; borrowed. And tell it to be something else, before it runs. */
const struct kvm_cpuid2 *vcpu_set_cpuid(const struct vcpu_set *set, unsigned index);
int vcpu_set_apply_cpuid(struct vcpu_set *set, unsigned index, const struct kvm_cpuid2 *cpuid,
			 struct error *err);

/* Let all vCPUs run. Loop thread. */
void vcpu_set_run(struct vcpu_set *set);

/* Ask all to park; all_parked() follows (also when they are parked already). Any thread, vCPU
 * threads included. */
void vcpu_set_park(struct vcpu_set *set);

/* True when every vCPU is parked and parking was asked for. */
bool vcpu_set_is_parked(struct vcpu_set *set);

/* Registers, local APICs and processor states as after power-on. All parked; loop thread. */
int vcpu_set_power_on_reset(struct vcpu_set *set, struct error *err);

/* KVM_NMI to every vCPU, by its own thread as soon as it is out of the guest. Any thread. */
void vcpu_set_inject_nmi(struct vcpu_set *set);

#endif
