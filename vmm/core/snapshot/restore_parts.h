/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a restore, shared by restore.c (phases) and restore_state.c (putting state back).
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_RESTORE_PARTS_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_RESTORE_PARTS_H

#include <uv.h>

#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/memory_file.h"
#include "vmm/core/snapshot/restore.h"

struct restore {
	struct vm *vm;
	struct snapshot_reader *reader; /* owned */
	struct restore_options options;
	bool devices_ready, memory_ready;
	bool abandoned; /* the VM ends: nothing goes on */
	bool working;	/* a thread of the pool reads or touches memory */
	unsigned waiting;
	struct error failure; /* of the pool's thread, until it is done */
	struct memory_progress progress;
	uv_work_t work;
};

/* Is this host fit? Logs risks; with force they do not stop it. */
int restore_check_host(struct restore *restore, struct error *err);

/* Index into the manifest's devices, or -1. */
int restore_find_device(const struct restore *restore, const char *id);

/* Plug every device where it was and give it its registers back. */
int restore_devices(struct restore *restore, struct error *err);

/* Interrupt controllers, clock, platform devices. Touches no guest memory. */
int restore_machine(struct restore *restore, struct error *err);

/* Registers and TSCs; and a new generation id. Both touch guest memory (KVM does, for kvmclock). */
int restore_vcpus(struct restore *restore, struct error *err);
int restore_generation_id(struct restore *restore, struct error *err);

#endif
