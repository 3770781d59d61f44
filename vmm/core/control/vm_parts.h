/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct vm, shared by the files that make it up: vm.c (states, operations),
 * vm_boot.c (start-up), vm_machine.c (what is made and taken apart), vm_work.c (threads for that),
 * vm_reset.c (reset), vm_resources.c (what is opened), vm_devices.c (which devices).
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_VM_PARTS_H
#define BULKHEAD_VMM_CORE_CONTROL_VM_PARTS_H

#include "devworkers/common/guest_memory.h"
#include "vmm/core/boot/boot.h"
#include "vmm/core/control/task_queue.h"
#include "vmm/core/control/vm.h"
#include "vmm/core/kvm/vcpu.h"
#include "vmm/core/kvm/vm.h"
#include "vmm/core/kvm/x86_64/irqchip.h"
#include "vmm/core/pci/pci_bus.h"
#include "vmm/core/platform/bus.h"
#include "vmm/core/platform/platform.h"
#include "vmm/core/snapshot/on_demand_memory.h"
#include "vmm/core/snapshot/snapshot.h"
#include "vmm/core/workers/worker_device.h"

#define VM_PARK_TIMEOUT_MS 30000 /* a vCPU may be waiting for memory that is served on demand */
#define VM_MAX_DEVICES	   31	 /* slots of the bus but the host bridge's */

/* fds that stay open for the life of the VM. -1: not there. */
struct vm_files {
	int kvm;
	int kernel;
	int initramfs;
	int memory;
	int disks[VM_MAX_DEVICES]; /* in the configuration's order, until their workers have them */
	int serial_input;	   /* terminal, pty or listening socket */
	int serial_output;
	int userfaultfd; /* /dev/userfaultfd, for a restore on demand */
};

/* What is made, or taken apart, on a thread of the pool. */
struct vm_made {
	struct kvm_vm *kvm;
	struct vcpu_set *vcpus;
};

/* On a thread of the pool: 0 or a negative errno, with err set. */
typedef int (*vm_work_fn)(struct vm *vm, struct error *err);
/* On the loop, when it is done. err is NULL if it went well. */
typedef void (*vm_work_after_fn)(struct vm *vm, const struct error *err);

struct vm {
	struct vm_options options;
	Bulkhead__Config__Vm *config;
	enum vm_state state;

	struct task_queue tasks;
	uv_timer_t park_timer;	 /* they are given so long */
	uv_timer_t lock_timer;	 /* a file that is still locked is tried again */
	unsigned lock_pause_ms;	 /* before the next try */
	struct task parked_task; /* all vCPUs are parked */
	struct task event_task;	 /* the guest did something that is the loop's to handle */

	/* What the guest did; guarded by event_lock, carried out by event_task. */
	pthread_mutex_t event_lock;
	bool event_reset;
	bool event_end;
	enum vm_end event_end_why;
	struct error event_end_text;

	struct vm_files files;
	struct guest_memory memory;
	struct kvm_vm *kvm;
	struct bus *pio, *mmio;
	struct pci_bus *pci;
	struct platform *platform;
	struct vcpu_set *vcpus;
	struct irqchip_state irqchip_power_on;
	struct boot_entry entry;
	bool prefault; /* memory, when the machine is made */

	/* vm_work.c, vm_machine.c: one thing at a time on a thread of the pool. */
	bool working;
	_Atomic bool work_cancelled; /* what takes long looks at it */
	uv_work_t work;
	vm_work_fn work_run;
	vm_work_after_fn work_after, machine_done;
	struct error work_failure;
	struct vm_made made; /* the thread's while it works */

	/* vm_clock.c */
	bool clock_stopped;
	struct kvm_clock_data clock_at_pause;

	struct worker_device_context device_context;
	struct worker_device *devices[VM_MAX_DEVICES];
	bool devices_active[VM_MAX_DEVICES]; /* as was told last */
	unsigned device_count;
	unsigned devices_waited_for; /* not yet ready, or not yet reset */

	/* The operation that is under way, if any. */
	vm_done_fn done;
	void *done_opaque;
	struct error
		done_failure; /* of a start, which is told when the VM has ended; code 0: none */

	struct snapshot *snapshot; /* being taken; NULL: none */
	struct snapshot_status snapshot_status;
	bool end_after_work;	 /* threads of the pool are at work; then it ends */
	struct restore *restore; /* being done; NULL: none */

	/* snapshot/on_demand_memory.c */
	struct pager_client *pager; /* NULL: all of memory is there */
	bool pager_ending;
	void (*memory_ready)(struct vm *vm, const struct error *err);
	on_demand_complete_fn memory_complete;
	void (*memory_gone)(struct vm *vm);

	/* Within vm_start_machine(), which waits for the broker and handles what comes from there:
	 * what goes wrong meanwhile is only noted. */
	bool starting;
	struct error start_failure;

	/* Why it ends, from vm_shutdown() on. */
	enum vm_end end_why;
	struct error end_text;

	bool ending;
	unsigned open_handles;	/* of the loop, while the VM is being freed */
	unsigned devices_to_go; /* being destroyed */
	void (*gone)(void *opaque);
	void *gone_opaque;
};

/* vm.c */
void vm_enter_state(struct vm *vm, enum vm_state state);
void vm_finish(struct vm *vm, const struct error *err);
int vm_begin(struct vm *vm, vm_done_fn done, void *opaque, struct error *err);

/* The kernel is in memory: the vCPUs run it, and the operation is over. */
void vm_run_loaded(struct vm *vm);

/* A boot or restore has failed: the VM ends, and then whoever started it is told. */
void vm_fail_start(struct vm *vm, const struct error *err);

/* A thread of the pool is done with the VM. True: the VM had waited for that to end, and ends. */
bool vm_work_has_ended_vm(struct vm *vm);

/* snapshot/snapshot.c: the VM ends: the snapshot that is being taken is over soon, whoever hangs.
 */
void vm_snapshot_abandon(struct vm *vm);

/* snapshot/snapshot.c: a worker was lost while a snapshot is taken: that fails. */
void vm_snapshot_device_failed(struct vm *vm, const struct error *err);

/* snapshot/restore.c: the restore that is under way, seen from the start-up it goes along with. */
int vm_restore_start_memory(struct vm *vm, struct error *err);
void vm_restore_devices_ready(struct vm *vm);
int vm_restore_saved_state(struct vm *vm, const char *id, const char *kind, const uint8_t **state,
			   size_t *bytes, struct error *err);
bool vm_restore_is_on_demand(const struct vm *vm);
bool vm_restore_is_working(const struct vm *vm); /* a thread writes into guest memory */
void vm_restore_abandon(struct vm *vm);
void vm_restore_forget(struct vm *vm); /* when no worker can answer any more */

/* vm_boot.c: workers and machine, but no kernel: shared by boot and restore. */
int vm_start_machine(struct vm *vm, vm_done_fn done, void *opaque, struct error *err);

/* vm.c: stop all vCPUs; vm_on_parked() or, after VM_PARK_TIMEOUT_MS, a failure follows. */
void vm_park(struct vm *vm);

/* vm_resources.c: declare everything to the broker; open what one VM at a time may have (-ETXTBSY:
 * another has it; ask again, what is open stays open); open what else the core itself holds. */
int vm_resources_declare(struct vm *vm, struct error *err);
int vm_resources_open_locked(struct vm *vm, struct error *err);
int vm_resources_open(struct vm *vm, struct error *err);
int vm_resources_open_one(struct vm *vm, const char *id, char *path, size_t path_bytes, int *fd,
			  struct error *err);
void vm_resources_close(struct vm *vm);

/* vm_devices.c: start a worker for every device of the configuration. */
int vm_devices_start(struct vm *vm, struct error *err);

/* vm_boot.c */
extern const struct worker_device_events vm_device_events;

/* vm_work.c: run() on a thread of the pool, then after() on the loop. */
void vm_work_begin(struct vm *vm, vm_work_fn run, vm_work_after_fn after);

/* vm_machine.c: memory, then buses and platform, then KVM and vCPUs. */
int vm_create_memory(struct vm *vm, struct error *err);
int vm_create_platform(struct vm *vm, struct error *err);
void vm_machine_make(struct vm *vm, vm_work_after_fn done);
/* The kernel into memory, its entry into the boot processor. */
void vm_machine_load(struct vm *vm, vm_work_after_fn done);
/* The vCPUs' threads end; then, when the devices are gone, everything else. Accepts what is only
 * partly there. */
void vm_machine_stop(struct vm *vm, vm_work_after_fn done);
void vm_machine_unmake(struct vm *vm, vm_work_after_fn done);

/* vm_reset.c: all vCPUs are parked, state is VM_RESETTING. */
void vm_reset_parked(struct vm *vm);
void vm_reset_device_done(struct vm *vm);

#endif
