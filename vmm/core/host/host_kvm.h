/* SPDX-License-Identifier: Apache-2.0 */
/* KVM: is it there, which back end, does it have what we need, and how does it run a guest. */
#ifndef BULKHEAD_VMM_CORE_HOST_HOST_KVM_H
#define BULKHEAD_VMM_CORE_HOST_HOST_KVM_H

#include "vmm/core/host/host_report.h"

/* Add the checks "kvm", "kvm-features" and "stock-kernels". Creates one small VM and ends it. */
void host_check_kvm(struct host_report *report);

#endif
