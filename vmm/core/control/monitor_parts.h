/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the monitor, shared by monitor.c (start and end of the process) and monitor_vm.c
 * (its VM).
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_MONITOR_PARTS_H
#define BULKHEAD_VMM_CORE_CONTROL_MONITOR_PARTS_H

#include <uv.h>

#include "vmm/core/control/control_server.h"
#include "vmm/core/control/monitor.h"
#include "vmm/core/control/vm.h"
#include "vmm/core/workers/broker_client.h"
#include "vmm/core/workers/channel_watch.h"

struct monitor {
	uv_loop_t loop;
	uv_signal_t sigterm, sigint;
	struct broker_client *broker;
	struct channel_watch broker_watch;
	struct control *control; /* NULL: no control socket, no event monitor */
	struct vm *vm;
	bool vm_going; /* being freed: only its end is still to come */
	uv_timer_t broker_gone;
	struct error broker_failure; /* why it is gone */
	int log_fd;
	enum sandbox_seccomp_mode seccomp;
	bool resume;		/* as soon as the VM is restored */
	bool has_sockets;	/* somebody may ask for another VM after this one */
	bool from_command_line; /* the VM is what the process was started for */
	bool restoring;		/* the VM is not whole yet */
	bool vmm_shutdown;	/* the process ends with its VM */
	bool stopping;
	enum monitor_exit status;
	/* delete_vm and restore_vm of the control */
	void (*delete_done)(void *opaque);
	void *delete_opaque;
	void (*restore_done)(void *opaque, const struct error *err);
	void *restore_opaque;
	struct error restore_failure; /* told when the VM is gone */
};

/* monitor.c: end the process with this status, once its VM is gone. */
void monitor_stop(struct monitor *monitor, enum monitor_exit status);
enum monitor_exit monitor_exit_status(enum vm_end why, const struct error *failure);

/* monitor_vm.c */
/* Free the VM, if there is one that is not going already. */
void monitor_destroy_vm(struct monitor *monitor);
extern const struct control_host_ops monitor_host_ops;
void monitor_end(struct monitor *monitor,
		 const struct error *why); /* the VM, whatever its state, then the process */
int monitor_boot_vm(struct monitor *monitor, Bulkhead__Config__Vm *config, struct error *err);
int monitor_restore_from_command_line(struct monitor *monitor, const struct command_line *line,
				      struct error *err);

#endif
