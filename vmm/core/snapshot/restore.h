/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a VM from a snapshot. Order: everything small is read and checked (snapshot_reader), the
 * host is compared, workers start with their saved states while memory is read, then the machine's
 * state, then every device goes on where it was, quiesced. The VM is paused afterwards. Loop
 * thread.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_RESTORE_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_RESTORE_H

#include <stdbool.h>

#include "ipc/error.h"
#include "vmm/core/control/vm.h"
#include "vmm/core/snapshot/snapshot_reader.h"

struct restore_options {
	bool on_demand; /* memory comes page by page when it is touched */
	bool prefault;	/* … and in the background */
	bool force;	/* go on where a difference between hosts is only a risk */
};

/*
 * vm is VM_CREATED with the reader's configuration (overrides applied). Takes reader in every case.
 * done runs once later unless the call fails; the VM is VM_PAUSED then, or ended like a failed
 * start.
 */
int vm_restore(struct vm *vm, struct snapshot_reader *reader, const struct restore_options *options,
	       vm_done_fn done, void *opaque, struct error *err);

#endif
