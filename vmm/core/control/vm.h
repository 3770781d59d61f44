/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine from creation to its end: states, and the operations that change them.
 * Everything here belongs to the loop thread; operations that take time finish by a callback.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_VM_H
#define BULKHEAD_VMM_CORE_CONTROL_VM_H

#include <stdbool.h>

#include <uv.h>

#include "devworkers/common/sandbox.h"
#include "ipc/error.h"
#include "proto/config.pb-c.h"
#include "vmm/core/workers/broker_client.h"

enum vm_state {
	VM_CREATED,	 /* configured; may: boot, delete */
	VM_BOOTING,	 /* workers start, the kernel is loaded; may: nothing but shutdown */
	VM_RUNNING,	 /* may: pause, reset, power button, shutdown */
	VM_PAUSING,	 /* vCPUs are on their way to a stop */
	VM_PAUSED,	 /* may: resume, snapshot, shutdown */
	VM_SNAPSHOTTING, /* paused, and the coordinator holds the workers */
	VM_RESETTING,	 /* the guest asked for a reset; ends in RUNNING */
	VM_SHUTDOWN,	 /* powered off; may: boot, delete */
};

/* Why a VM ended. */
enum vm_end {
	VM_END_POWER_OFF,    /* by the guest through ACPI, or asked for by the operator */
	VM_END_TRIPLE_FAULT, /* the guest crashed its processor */
	VM_END_PANIC,	     /* the guest said that its kernel panicked */
	VM_END_EMULATION,    /* this host's KVM cannot run this guest */
	VM_END_FAILURE,	     /* start-up failed, or something of ours */
};

struct vm;

struct vm_events {
	void (*state_changed)(void *opaque, struct vm *vm, enum vm_state from, enum vm_state to);
	/* The guest is off and every worker told to go. vm_destroy() may be called from the loop
	 * afterwards. */
	void (*ended)(void *opaque, struct vm *vm, enum vm_end why, const struct error *text);
	/* A device's worker was lost; the VM goes on. */
	void (*device_failed)(void *opaque, struct vm *vm, const char *device_id,
			      const struct error *err);
	/* A pseudo terminal was made: tell the operator its path. */
	void (*terminal)(void *opaque, struct vm *vm, const char *device_id, const char *path);
	/* The guest's driver has activated a device, or reset it. May be NULL. */
	void (*device_active)(void *opaque, struct vm *vm, const char *device_id, bool active);
};

struct vm_options {
	uv_loop_t *loop;
	struct broker_client *broker;
	Bulkhead__Config__Vm *config; /* complete (vm_config_complete); taken on success */
	const struct vm_events *events;
	void *opaque;
	int log_fd;
	enum sandbox_seccomp_mode seccomp;
	bool seal_broker; /* nothing will be declared after this VM's own resources */
};

typedef void (*vm_done_fn)(void *opaque, struct vm *vm, const struct error *err);

struct vm *vm_new(const struct vm_options *options, struct error *err);

/* Free; gone() is called when nothing is left. VM_CREATED, VM_SHUTDOWN, or after ended(). */
void vm_destroy(struct vm *vm, void (*gone)(void *opaque), void *opaque);

enum vm_state vm_state(const struct vm *vm);
const char *vm_state_name(enum vm_state state);
const Bulkhead__Config__Vm *vm_config(const struct vm *vm);

/* Start workers, load the kernel, run. What fails once it has begun is told by done, and by
 * ended(VM_END_FAILURE), when the VM may be booted again. */
int vm_boot(struct vm *vm, vm_done_fn done, void *opaque, struct error *err);

/* Stop all vCPUs; workers go on serving what was kicked. -EINVAL with the state named when not
 * running. */
int vm_pause(struct vm *vm, vm_done_fn done, void *opaque, struct error *err);
int vm_resume(struct vm *vm, vm_done_fn done, void *opaque, struct error *err);

/* Reset the machine (reboot without the guest's help). */
int vm_reset(struct vm *vm, vm_done_fn done, void *opaque, struct error *err);

/*
 * End the VM from any state but CREATED and SHUTDOWN (-EINVAL): ended() follows with this reason
 * and text, whose code matters for VM_END_FAILURE.
 */
int vm_shutdown(struct vm *vm, enum vm_end why, const struct error *text);

int vm_power_button(struct vm *vm, struct error *err);
int vm_inject_nmi(struct vm *vm, struct error *err);

#endif
