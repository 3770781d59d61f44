/* SPDX-License-Identifier: Apache-2.0 */
/* What takes long and needs no loop, on a thread of the loop's pool. */
#include <stdatomic.h>

#include "vmm/core/control/vm_parts.h"

static void vm_work_run(uv_work_t *work)
{
	struct vm *vm = work->data;

	vm->work_failure = (struct error)ERROR_INIT;
	(void)vm->work_run(vm, &vm->work_failure);
}

static void vm_work_done(uv_work_t *work, int status)
{
	struct vm *vm = work->data;
	struct error failure = vm->work_failure;

	(void)status; /* nobody cancels it */
	vm->working = false;
	vm->work_after(vm, failure.code ? &failure : NULL);
}

void vm_work_begin(struct vm *vm, vm_work_fn run, vm_work_after_fn after)
{
	vm->working = true;
	atomic_store(&vm->work_cancelled, false);
	vm->work_run = run;
	vm->work_after = after;
	vm->work.data = vm;
	/* It can only fail for want of a function. */
	(void)uv_queue_work(vm->options.loop, &vm->work, vm_work_run, vm_work_done);
}
