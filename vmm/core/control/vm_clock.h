/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's clocks stand still while it is paused and go on from there when it is resumed: its
 * timers see no time that its processors did not have. A snapshot that is taken meanwhile still
 * holds the real time (irqchip_capture), so that a restored guest's clock is right. Loop thread.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_VM_CLOCK_H
#define BULKHEAD_VMM_CORE_CONTROL_VM_CLOCK_H

struct vm;

/* All vCPUs are parked. */
void vm_clock_stop(struct vm *vm);

/* They are about to run. Nothing to do unless the clocks were stopped. */
void vm_clock_continue(struct vm *vm);

#endif
