/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM as the core makes it: one memfd (or one part of a backing file) a region, region 0
 * below the hole, region 1 from 4 GiB. memfds are sealed against resizing: a worker that holds one
 * could otherwise cut it short under everybody's mappings.
 */
#ifndef BULKHEAD_VMM_CORE_MEMORY_VM_MEMORY_H
#define BULKHEAD_VMM_CORE_MEMORY_VM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"
#include "vmm/core/kvm/vm.h"

#define VM_MEMORY_ALIGNMENT MAP_MIB(2)

struct vm_memory_options {
	uint64_t size_bytes; /* a multiple of 2 MiB */
	bool hugepages;	     /* 2 MiB hugetlbfs pages */
	bool thp;	     /* advise transparent huge pages */
	int file_fd;	     /* backing file, borrowed; -1: anonymous */
};

/* Number of regions and the place of each for a RAM size: at most two. */
unsigned vm_memory_layout(uint64_t size_bytes, uint64_t gpa[2], uint64_t region_bytes[2]);

/* Create and map all regions. On failure memory is left destroyed. */
int vm_memory_create(struct guest_memory *memory, const struct vm_memory_options *options,
		     struct error *err);

/* Have every page made now, which takes long: any thread. -ECANCELED soon after *cancelled is set.
 */
int vm_memory_prefault(const struct guest_memory *memory, const _Atomic bool *cancelled,
		       struct error *err);

/* Give every region to KVM, slots from 0. */
int vm_memory_attach(const struct guest_memory *memory, struct kvm_vm *vm, struct error *err);

#endif
