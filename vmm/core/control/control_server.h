/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's side of control: starts bulkhead-gateway and starts it again when it dies, carries out
 * its commands (control_commands.c), and tells the world what happens (events). Loop thread.
 *
 * The gateway is as untrusted as a worker: all it can do is to ask for commands, which the operator
 * may give anyway.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_CONTROL_SERVER_H
#define BULKHEAD_VMM_CORE_CONTROL_CONTROL_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <uv.h>

#include "ipc/error.h"
#include "proto/config.pb-c.h"
#include "proto/control.pb-c.h"
#include "vmm/core/control/control_settings.h"
#include "vmm/core/control/vm.h"
#include "vmm/core/workers/broker_client.h"

struct control;

/* What the owner of the VM offers. */
struct control_host_ops {
	/* The VM, or NULL when none is created. */
	struct vm *(*vm)(void *opaque);
	/* Create a VM (vm_new); config is complete, and taken on success. */
	int (*create_vm)(void *opaque, Bulkhead__Config__Vm *config, struct error *err);
	/* Free the VM, which is CREATED or SHUTDOWN; done runs later, when vm() returns NULL. */
	int (*delete_vm)(void *opaque, void (*done)(void *done_opaque), void *done_opaque,
			 struct error *err);
	/* End this process: shut the VM down if there is one, then control_stop(). Called once. */
	void (*shutdown_vmm)(void *opaque);
	/*
	 * Create a VM from a snapshot; done runs later unless the call fails. request is valid
	 * during the call. NULL: not in this version.
	 */
	int (*restore_vm)(void *opaque, const Bulkhead__Control__Restore *request,
			  void (*done)(void *done_opaque, const struct error *err),
			  void *done_opaque, struct error *err);
};

struct control_options {
	uv_loop_t *loop;
	struct broker_client *broker;
	const struct control_settings *settings; /* valid during control_new() */
	const char *vm_name;			 /* copied */
	const struct control_host_ops *host;
	void *opaque;
	uid_t owner_uid;       /* who started us, before ids were given up */
	int event_monitor_fd;  /* control_settings_open_event_monitor(); taken */
	int notify_fd;	       /* control_notify_open(); taken */
	uint32_t heartbeat_ms; /* between questions whether the gateway lives; 0: as usual */
};

/*
 * Declare the control sockets to the broker and open them; start the gateway if there are any, or
 * if needs_gateway. NULL with err set on failure; the fds are taken in every case.
 */
struct control *control_new(const struct control_options *options, bool needs_gateway,
			    struct error *err);

/* "vmm starting" to the event monitor: before anything else happens. */
void control_starting(struct control *control);

/* Everything that was asked for at the start is up: READY=1 to the service manager, once. */
void control_ready(struct control *control);

/* An error that names an option of the command line names the API's field instead. */
void control_name_as_api(struct error *err);

/*
 * The end: STOPPING=1, "vmm shutdown"; the gateway writes out what clients wait for and is ended;
 * then the control is freed and stopped(opaque) called, after a second at the latest. After the VM
 * is gone, before broker_client_shutdown(). Once.
 */
void control_stop(struct control *control, void (*stopped)(void *opaque), void *opaque);

/*
 * Let the gateway read a configuration file in the schema of vm.create (at most 50 KiB). done runs
 * once later unless the call fails: config (the receiver's, not completed) or err.
 */
typedef void (*control_config_fn)(void *opaque, Bulkhead__Config__Vm *config,
				  const struct error *err);
int control_parse_config(struct control *control, const void *text, size_t bytes,
			 control_config_fn done, void *opaque, struct error *err);

/* ---- what the owner passes on; control may be NULL ---- */

/* vm_events */
void control_on_vm_state(struct control *control, enum vm_state from, enum vm_state to);
void control_on_vm_ended(struct control *control, enum vm_end why, const struct error *text);
void control_on_device_failed(struct control *control, const char *device_id,
			      const struct error *err);
/* The guest's driver took the device into use, or let go of it. */
void control_on_device_active(struct control *control, const char *device_id, bool active);
void control_on_terminal(struct control *control, const char *device_id, const char *path);

/* broker_events */
void control_on_process_exited(struct control *control, int32_t pid, const char *device_id,
			       int32_t exit_status, int32_t signal_number);
void control_on_violation(struct control *control, int32_t pid, const char *kind,
			  const char *device_id, const char *syscall_name);

/* Anything else: source and event as the event monitor shows them, properties as pairs of name and
 * value, ended by NULL. */
void control_event(struct control *control, Bulkhead__Control__EventKind kind, const char *source,
		   const char *event, ...) __attribute__((sentinel));

#endif
