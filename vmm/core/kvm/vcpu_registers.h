/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything KVM can read out of and put back into a vCPU. Used for reset (the state captured at
 * creation is applied again) and, packed into a protobuf, for snapshots. The vCPU must be parked.
 */
#ifndef BULKHEAD_VMM_CORE_KVM_VCPU_REGISTERS_H
#define BULKHEAD_VMM_CORE_KVM_VCPU_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "ipc/error.h"

struct vcpu_registers {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	void *xsave; /* KVM_GET_XSAVE2, or struct kvm_xsave where that is not to be had; owned */
	size_t xsave_bytes;
	struct kvm_msrs *msrs;	  /* those of KVM_GET_MSR_INDEX_LIST that could be read; owned */
	struct kvm_cpuid2 *cpuid; /* as KVM_SET_CPUID2 took it; owned; NULL: not part of it */
	unsigned tsc_khz;	  /* 0: unknown */
	bool has_tsc_offset;
	uint64_t tsc_offset; /* guest TSC minus host TSC */
};

/* Give a new vCPU the few settings that firmware would: MTRRs, LINT pins. */
int vcpu_registers_setup(int vcpu_fd, struct error *err);

/* Read all but CPUID; registers is overwritten and owns what it points to afterwards, also
 * half-filled on failure. */
int vcpu_registers_capture(int system_fd, int vcpu_fd, struct vcpu_registers *registers,
			   struct error *err);

/*
 * Put all back, in the order that KVM needs, but CPUID and the TSC's rate: see
 * vcpu_registers_apply_cpuid().
 */
int vcpu_registers_apply(int vcpu_fd, const struct vcpu_registers *registers, struct error *err);

/* MSRs that this host's KVM does not take, and that have another value here than in the state. */
#define VCPU_MAX_REFUSED_MSRS 16
struct vcpu_refused_msrs {
	unsigned count; /* of all; the first VCPU_MAX_REFUSED_MSRS are listed */
	struct kvm_msr_entry entries[VCPU_MAX_REFUSED_MSRS]; /* as the state has them */
};

/* vcpu_registers_apply() that also tells these; *refused is overwritten. */
int vcpu_registers_apply_checked(int vcpu_fd, const struct vcpu_registers *registers,
				 struct vcpu_refused_msrs *refused, struct error *err);

/* On a new vCPU, before vcpu_registers_apply(): the TSC rate that the state was made with. */
int vcpu_registers_apply_tsc_rate(int vcpu_fd, const struct vcpu_registers *registers,
				  struct error *err);

/* Arm the LAPIC's TSC deadline timer again: after the TSC has got another value. */
void vcpu_registers_rearm_deadline(int vcpu_fd, const struct vcpu_registers *registers);

/* Set the guest's TSC to this value as of now. */
int vcpu_registers_set_tsc(int vcpu_fd, uint64_t tsc);

/* The TSC's value when the registers were captured; 0 when it is not among them. */
uint64_t vcpu_registers_tsc(const struct vcpu_registers *registers);

void vcpu_registers_release(struct vcpu_registers *registers);

#endif
