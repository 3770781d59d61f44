/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID tells the guest: what KVM supports, our topology, KVM's paravirtual leaves. */
#ifndef BULKHEAD_VMM_CORE_KVM_X86_64_CPUID_H
#define BULKHEAD_VMM_CORE_KVM_X86_64_CPUID_H

#include "ipc/error.h"

/*
 * Set the CPUID of vCPU `index` out of cpu_count (one socket, one thread a core; APIC id = index).
 * system_fd is /dev/kvm's.
 */
int cpuid_setup_vcpu(int system_fd, int vcpu_fd, unsigned index, unsigned cpu_count,
		     struct error *err);

#endif
