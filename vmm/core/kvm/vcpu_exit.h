/* SPDX-License-Identifier: Apache-2.0 */
/* What KVM_RUN came back for, and who answers it. */
#ifndef BULKHEAD_VMM_CORE_KVM_VCPU_EXIT_H
#define BULKHEAD_VMM_CORE_KVM_VCPU_EXIT_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/kvm.h>

#include "vmm/core/kvm/vcpu.h"

/*
 * Handle one exit on its vCPU thread. True: go on. False: the vCPU cannot go on; *fatal and text
 * say why.
 */
bool vcpu_exit_handle(struct kvm_run *run, int vcpu_fd, struct bus *pio, struct bus *mmio,
		      enum vcpu_fatal *fatal, char *text, size_t text_bytes);

#endif
