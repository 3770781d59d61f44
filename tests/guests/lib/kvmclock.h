/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW). */
#ifndef GUEST_KVMCLOCK_H
#define GUEST_KVMCLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* True if CPUID names KVM and offers the clock MSRs. */
bool kvmclock_is_offered(void);

/* Registers this CPU's (the BSP's) clock page. Returns false if it is not offered or not filled. */
bool kvmclock_enable(void);

/* Nanoseconds by the clock page; kvmclock_enable() must have succeeded. */
uint64_t kvmclock_now_ns(void);

/* Wall-clock seconds since 1970 at the clock's zero, or 0. */
uint32_t kvmclock_boot_wall_seconds(void);

/* The TSC frequency that the clock page implies, or 0 if there is none. */
uint64_t kvmclock_tsc_khz(void);

#endif
