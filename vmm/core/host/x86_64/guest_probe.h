/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of a few instructions that tells whether the processor or KVM's emulator runs it. */
#ifndef BULKHEAD_VMM_CORE_HOST_X86_64_GUEST_PROBE_H
#define BULKHEAD_VMM_CORE_HOST_X86_64_GUEST_PROBE_H

#include "ipc/error.h"
#include "vmm/core/host/host_report.h"
#include "vmm/core/kvm/vm.h"

/*
 * Run the probe in vm, which has no memory and no vCPU yet and is of no other use afterwards.
 * Returns 0 with *execution set, or a negative errno when the guest did neither. Main thread only:
 * it arms a timer signal so that a host that never returns cannot hang us.
 */
int guest_probe_run(struct kvm_vm *vm, enum host_execution *execution, struct error *err);

#endif
