/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID tells the guest: what KVM supports, our topology, KVM's paravirtual leaves. */
#ifndef BULKHEAD_VMM_CORE_KVM_X86_64_CPUID_H
#define BULKHEAD_VMM_CORE_KVM_X86_64_CPUID_H

#include <linux/kvm.h>

#include "ipc/error.h"

/* What this host's KVM supports, malloc'ed, the caller's; NULL with err set. It takes the kernel
 * long to say: ask once. system_fd is /dev/kvm's. */
struct kvm_cpuid2 *cpuid_supported(int system_fd, struct error *err);

/*
 * Set the CPUID of vCPU `index` out of cpu_count (one socket, one thread a core; APIC id = index),
 * made of what the host supports. *cpuid receives what was set, malloc'ed, the caller's: some KVM
 * back ends tell something else when they are asked for it later (KVM_GET_CPUID2).
 */
int cpuid_setup_vcpu(const struct kvm_cpuid2 *supported, int system_fd, int vcpu_fd, unsigned index,
		     unsigned cpu_count, struct kvm_cpuid2 **cpuid, struct error *err);

/* A copy, malloc'ed. NULL: out of memory. */
struct kvm_cpuid2 *cpuid_copy(const struct kvm_cpuid2 *cpuid);

#endif
