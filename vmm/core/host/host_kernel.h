/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's kernel offers besides KVM. Every check tries the thing itself, not its version.
 */
#ifndef BULKHEAD_VMM_CORE_HOST_HOST_KERNEL_H
#define BULKHEAD_VMM_CORE_HOST_HOST_KERNEL_H

#include "vmm/core/host/host_report.h"

/* The sandbox's needs: "namespaces" (tried in a child process), "landlock", "seccomp". */
void host_check_sandbox(struct host_report *report);

/* What single features need: "userfaultfd", "io_uring", "cgroup-v2", "tap", "huge-pages". */
void host_check_features(struct host_report *report);

#endif
