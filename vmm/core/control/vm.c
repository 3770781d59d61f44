/* SPDX-License-Identifier: Apache-2.0 */
/* States of a VM and the operations that change them. */
#include "vmm/core/control/vm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "vmm/core/control/vm_clock.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/on_demand_memory.h"

static const char *const state_names[] = {
	[VM_CREATED] = "created",     [VM_BOOTING] = "booting",
	[VM_RUNNING] = "running",     [VM_PAUSING] = "pausing",
	[VM_PAUSED] = "paused",	      [VM_SNAPSHOTTING] = "taking a snapshot",
	[VM_RESETTING] = "resetting", [VM_SHUTDOWN] = "shut down",
};

const char *vm_state_name(enum vm_state state)
{
	return state_names[state];
}

enum vm_state vm_state(const struct vm *vm)
{
	return vm->state;
}

const Bulkhead__Config__Vm *vm_config(const struct vm *vm)
{
	return vm->config;
}

void vm_enter_state(struct vm *vm, enum vm_state state)
{
	enum vm_state from = vm->state;

	vm->state = state;
	if (from != state)
		vm->options.events->state_changed(vm->options.opaque, vm, from, state);
}

int vm_begin(struct vm *vm, vm_done_fn done, void *opaque, struct error *err)
{
	if (vm->done || vm->ending)
		return error_set(err, -EBUSY, "the VM is busy: %s", vm_state_name(vm->state));
	vm->done = done;
	vm->done_opaque = opaque;
	return 0;
}

void vm_finish(struct vm *vm, const struct error *err)
{
	vm_done_fn done = vm->done;

	vm->done = NULL;
	if (done)
		done(vm->done_opaque, vm, err);
}

void vm_run_loaded(struct vm *vm)
{
	vm_enter_state(vm, VM_RUNNING);
	vcpu_set_run(vm->vcpus);
	vm_finish(vm, NULL);
}

void vm_fail_start(struct vm *vm, const struct error *err)
{
	if (!vm->done_failure.code)
		vm->done_failure = *err;
	(void)vm_shutdown(vm, VM_END_FAILURE, err);
}

static int vm_require(const struct vm *vm, enum vm_state state, const char *action,
		      struct error *err)
{
	if (vm->ending || vm->end_after_work)
		return error_set(err, -EBUSY, "cannot %s: the VM is about to end", action);
	if (vm->state == state)
		return 0;
	return error_set(err, -EINVAL, "cannot %s: the VM is %s, not %s", action,
			 vm_state_name(vm->state), vm_state_name(state));
}

/* Loop thread: every vCPU stands still. */
static void vm_on_parked(void *opaque)
{
	struct vm *vm = opaque;

	if (!vm->vcpus || vm->ending || !vcpu_set_is_parked(vm->vcpus))
		return;
	uv_timer_stop(&vm->park_timer);
	if (vm->state == VM_PAUSING) {
		vm_clock_stop(vm);
		vm_enter_state(vm, VM_PAUSED);
		vm_finish(vm, NULL);
	} else if (vm->state == VM_RESETTING) {
		vm_reset_parked(vm);
	}
}

/* Some vCPU did not stop in time. */
static void vm_on_park_timeout(uv_timer_t *timer)
{
	struct vm *vm = timer->data;
	struct error late = ERROR_INIT;

	error_set(&late, -ETIMEDOUT, "a vCPU did not stop within %d s", VM_PARK_TIMEOUT_MS / 1000);
	if (on_demand_memory_is_lost(vm)) {
		error_set(&late, -EIO,
			  "a vCPU waits for memory that cannot be had, the pager is gone; restore "
			  "the "
			  "VM from its snapshot again");
		(void)vm_shutdown(vm, VM_END_FAILURE, &late);
	} else if (vm->state == VM_PAUSING) {
		vcpu_set_run(vm->vcpus);
		vm_enter_state(vm, VM_RUNNING);
		vm_finish(vm, &late);
	} else if (vm->state == VM_RESETTING) {
		(void)vm_shutdown(vm, VM_END_FAILURE, &late);
	}
}

void vm_park(struct vm *vm)
{
	uv_timer_start(&vm->park_timer, vm_on_park_timeout, VM_PARK_TIMEOUT_MS, 0);
	vcpu_set_park(vm->vcpus);
}

/* Loop thread: the guest reset or ended its machine. */
static void vm_on_event(void *opaque)
{
	struct vm *vm = opaque;
	struct error text;
	bool reset, end;
	enum vm_end why;

	pthread_mutex_lock(&vm->event_lock);
	reset = vm->event_reset;
	end = vm->event_end;
	why = vm->event_end_why;
	text = vm->event_end_text;
	vm->event_reset = vm->event_end = false;
	pthread_mutex_unlock(&vm->event_lock);
	if (end)
		(void)vm_shutdown(vm, why, &text);
	else if (reset && !vm->ending && (vm->state == VM_RUNNING || vm->state == VM_PAUSING)) {
		struct error interrupted = ERROR_INIT;

		error_set(&interrupted, -EAGAIN, "the guest reset itself at the same moment");
		vm_enter_state(vm, VM_RESETTING);
		vm_finish(vm, &interrupted);
		vm_park(vm);
	}
}

struct vm *vm_new(const struct vm_options *options, struct error *err)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int result;

	if (!vm) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	vm->options = *options;
	vm->state = VM_CREATED;
	vm->files = (struct vm_files){-1, -1, -1, -1, {0}, -1, -1, -1};
	for (unsigned i = 0; i < VM_MAX_DEVICES; i++)
		vm->files.disks[i] = -1;
	pthread_mutex_init(&vm->event_lock, NULL);
	vm->parked_task = (struct task){.run = vm_on_parked, .opaque = vm};
	vm->event_task = (struct task){.run = vm_on_event, .opaque = vm};
	result = task_queue_init(&vm->tasks, options->loop);
	if (result < 0) {
		error_set_errno(err, result, "cannot make the loop's task queue");
		free(vm);
		return NULL;
	}
	uv_timer_init(options->loop, &vm->park_timer);
	uv_timer_init(options->loop, &vm->lock_timer);
	vm->park_timer.data = vm->lock_timer.data = vm;
	vm->config = options->config;
	vm->device_context = (struct worker_device_context){
		.loop = options->loop,
		.tasks = &vm->tasks,
		.broker = options->broker,
		.memory = &vm->memory,
		.log_fd = options->log_fd,
		.userfaultfd_device = -1,
		.events = &vm_device_events,
		.opaque = vm,
	};
	return vm;
}

static void vm_free(struct vm *vm)
{
	void (*gone)(void *) = vm->gone;
	void *opaque = vm->gone_opaque;

	vm_resources_close(vm);
	bulkhead__config__vm__free_unpacked(vm->config, NULL);
	pthread_mutex_destroy(&vm->event_lock);
	free(vm);
	gone(opaque);
}

static void vm_on_handle_closed(uv_handle_t *handle)
{
	struct vm *vm = handle->data;

	if (--vm->open_handles == 0)
		vm_free(vm);
}

void vm_destroy(struct vm *vm, void (*gone)(void *opaque), void *opaque)
{
	vm->gone = gone;
	vm->gone_opaque = opaque;
	task_cancel(&vm->tasks, &vm->parked_task);
	task_cancel(&vm->tasks, &vm->event_task);
	vm->open_handles = 3;
	vm->tasks.async.data = vm;
	uv_close((uv_handle_t *)&vm->tasks.async, vm_on_handle_closed);
	uv_close((uv_handle_t *)&vm->park_timer, vm_on_handle_closed);
	uv_close((uv_handle_t *)&vm->lock_timer, vm_on_handle_closed);
}

int vm_pause(struct vm *vm, vm_done_fn done, void *opaque, struct error *err)
{
	if (vm_require(vm, VM_RUNNING, "pause", err) < 0 || vm_begin(vm, done, opaque, err) < 0)
		return err->code;
	vm_enter_state(vm, VM_PAUSING);
	vm_park(vm);
	return 0;
}

static void vm_on_device_resumed(void *opaque, struct worker_device *device,
				 const struct error *err)
{
	struct vm *vm = opaque;

	if (err)
		worker_device_fail(device, err);
	if (--vm->devices_waited_for || vm->ending)
		return;
	vm_clock_continue(vm);
	vcpu_set_run(vm->vcpus);
	vm_enter_state(vm, VM_RUNNING);
	vm_finish(vm, NULL);
}

int vm_resume(struct vm *vm, vm_done_fn done, void *opaque, struct error *err)
{
	struct error failure = ERROR_INIT;

	if (vm_require(vm, VM_PAUSED, "resume", err) < 0)
		return err->code;
	if (on_demand_memory_is_lost(vm))
		return error_set(
			err, -EIO,
			"cannot resume: the pager is gone, and with it memory that was not "
			"read yet; restore the VM from its snapshot again");
	for (unsigned i = 0; i < vm->device_count; i++)
		if (worker_device_state(vm->devices[i]) == WORKER_DEVICE_QUIESCED &&
		    !worker_device_is_idle(vm->devices[i]))
			return error_set(err, -EBUSY, "cannot resume: device \"%s\" is busy",
					 worker_device_id(vm->devices[i]));
	if (vm_begin(vm, done, opaque, err) < 0)
		return err->code;
	/* After a restore the workers are quiesced and go on with the vCPUs. */
	vm->devices_waited_for = 1;
	for (unsigned i = 0; i < vm->device_count; i++) {
		if (worker_device_state(vm->devices[i]) != WORKER_DEVICE_QUIESCED)
			continue;
		vm->devices_waited_for++;
		if (worker_device_resume(vm->devices[i], WORKER_RESUME_TIMEOUT_MS,
					 vm_on_device_resumed, vm, &failure) < 0)
			vm_on_device_resumed(vm, vm->devices[i], &failure);
	}
	vm_on_device_resumed(vm, NULL, NULL);
	return 0;
}

int vm_reset(struct vm *vm, vm_done_fn done, void *opaque, struct error *err)
{
	if (vm->state != VM_PAUSED && vm_require(vm, VM_RUNNING, "reset", err) < 0)
		return err->code;
	if (vm_begin(vm, done, opaque, err) < 0)
		return err->code;
	vm_enter_state(vm, VM_RESETTING);
	vm_park(vm);
	return 0;
}

int vm_power_button(struct vm *vm, struct error *err)
{
	if (vm_require(vm, VM_RUNNING, "press the power button", err) < 0)
		return err->code;
	platform_power_button(vm->platform);
	return 0;
}

int vm_inject_nmi(struct vm *vm, struct error *err)
{
	if (vm_require(vm, VM_RUNNING, "inject an NMI", err) < 0)
		return err->code;
	vcpu_set_inject_nmi(vm->vcpus);
	return 0;
}

static void vm_ended(struct vm *vm, enum vm_end why)
{
	struct error text = vm->end_text;
	struct error failure = vm->done_failure;

	vm->ending = false;
	vm->done_failure = (struct error)ERROR_INIT;
	vm_restore_forget(vm);
	if (!failure.code)
		error_set(&failure, -ECANCELED, "%s", text.message);
	vm_enter_state(vm, VM_SHUTDOWN);
	vm_finish(vm, &failure);
	vm->options.events->ended(vm->options.opaque, vm, why, &text);
}

static void vm_on_unmade(struct vm *vm, const struct error *err)
{
	(void)err;
	vm_resources_close(vm);
	vm_ended(vm, vm->end_why);
}

static void vm_on_memory_gone(struct vm *vm)
{
	vm_machine_unmake(vm, vm_on_unmade);
}

static void vm_on_device_gone(void *opaque)
{
	struct vm *vm = opaque;

	if (--vm->devices_to_go)
		return;
	vm->device_count = 0;
	on_demand_memory_end(vm, vm_on_memory_gone);
}

static void vm_on_stopped(struct vm *vm, const struct error *err)
{
	(void)err;
	vm->devices_to_go = vm->device_count + 1;
	for (unsigned i = 0; i < vm->device_count; i++)
		worker_device_destroy(vm->devices[i], vm_on_device_gone, vm);
	vm_on_device_gone(vm);
}

static void vm_end_now(struct vm *vm)
{
	vm->ending = true;
	uv_timer_stop(&vm->park_timer);
	uv_timer_stop(&vm->lock_timer);
	on_demand_memory_abandon(vm);
	/* Threads are stopped and joined first: nothing of the guest's runs while its devices go.
	 */
	vm_machine_stop(vm, vm_on_stopped);
}

/* Threads of the pool hold on to it. */
static bool vm_is_worked_on(const struct vm *vm)
{
	return vm->working || vm->snapshot || vm_restore_is_working(vm);
}

int vm_shutdown(struct vm *vm, enum vm_end why, const struct error *text)
{
	if (vm->state == VM_CREATED || vm->state == VM_SHUTDOWN)
		return -EINVAL;
	if (vm->ending || vm->end_after_work)
		return 0;
	if (vm->starting) {
		if (!vm->start_failure.code)
			vm->start_failure = *text;
		return 0;
	}
	vm->end_why = why;
	vm->end_text = *text;
	/* Other threads are at work in guest memory or the machine: they are told to stop, not
	 * pulled the rug. Memory that one of them may wait for does not come any more. */
	if (!vm->working)
		on_demand_memory_abandon(vm);
	if (!vm_is_worked_on(vm)) {
		vm_restore_abandon(vm);
		vm_end_now(vm);
		return 0;
	}
	vm->end_after_work = true;
	atomic_store(&vm->work_cancelled, true);
	vm_restore_abandon(vm);
	vm_snapshot_abandon(vm);
	return 0;
}

bool vm_work_has_ended_vm(struct vm *vm)
{
	if (!vm->end_after_work)
		return false;
	if (!vm_is_worked_on(vm)) {
		vm->end_after_work = false;
		vm_end_now(vm);
	}
	return true;
}
