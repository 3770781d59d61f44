/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the boot vCPU starts: the register file that the boot protocols ask for, and the tables in
 * guest memory that it refers to. The other vCPUs wait for INIT and SIPI and need nothing.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_X86_64_VCPU_ENTRY_H
#define BULKHEAD_VMM_CORE_BOOT_X86_64_VCPU_ENTRY_H

#include <linux/kvm.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"
#include "vmm/core/boot/boot.h"

/*
 * Write the GDT (MAP_BOOT_GDT) and, for BOOT_LINUX64, page tables that map the first 4 GiB to
 * itself (MAP_BOOT_PAGE_TABLES). Called by boot_load(). -ENOMEM when there is no RAM at these
 * addresses.
 */
int boot_write_vcpu_tables(enum boot_protocol protocol, const struct guest_memory *memory,
			   struct error *err);

/*
 * Set regs (all of it) and those parts of sregs that the protocol names: segments, descriptor
 * tables, control registers, EFER. The rest of sregs (the APIC base above all) is left as
 * KVM_GET_SREGS gave it.
 */
void boot_vcpu_registers(const struct boot_entry *entry, struct kvm_regs *regs,
			 struct kvm_sregs *sregs);

#endif
