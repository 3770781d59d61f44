/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a VM that commands look at beyond its states. Loop thread. */
#ifndef BULKHEAD_VMM_CORE_CONTROL_CONTROL_VIEW_H
#define BULKHEAD_VMM_CORE_CONTROL_CONTROL_VIEW_H

#include "vmm/core/control/vm.h"
#include "vmm/core/workers/worker_device.h"

/* Thread ids of the vCPUs, at most capacity; returns their number: 0 while there are none. */
unsigned control_view_vcpu_threads(const struct vm *vm, int32_t *threads, unsigned capacity);

/* It starts from a snapshot. */
bool control_view_is_restoring(const struct vm *vm);

unsigned control_view_device_count(const struct vm *vm);
struct worker_device *control_view_device(const struct vm *vm, unsigned index);

/* NULL: no device has this id. */
struct worker_device *control_view_find_device(const struct vm *vm, const char *id);

/* Of a device on the bus; -1: it is not there. */
int control_view_pci_slot(const struct worker_device *device);

/* "starting", "ready", "active", "quiesced", "failed". */
const char *control_view_device_state(const struct worker_device *device);

#endif
