/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct control, shared by the files that make it up: control_server.c (life),
 * control_gateway.c (the process and its channel), control_call.c (calls under way),
 * control_commands.c (the table), control_lifecycle.c, control_report.c, control_snapshot.c
 * (handlers), control_events.c.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_CONTROL_PARTS_H
#define BULKHEAD_VMM_CORE_CONTROL_CONTROL_PARTS_H

#include "ipc/channel.h"
#include "ipc/log.h"
#include "vmm/core/control/control_server.h"
#include "vmm/core/workers/channel_watch.h"

#define CONTROL_MESSAGE(name)	BULKHEAD__CONTROL__MESSAGE_TYPE__MESSAGE_##name
#define CONTROL_MAX_CALLS	128
#define CONTROL_MAX_TERMINALS	4
#define CONTROL_OPERATOR_REASON (-ECANCELED) /* code of an end that the operator asked for here */

/* One gateway process, from SPAWN until its channel's handles are closed. */
struct control_gateway {
	struct control *control;
	struct channel *channel;
	struct channel_watch watch;
	int32_t pid; /* 0: not started yet, or ended */
	uint32_t uid;
	uint64_t started_ms;
	bool closing;
};

/* A command of the gateway that is not answered yet. */
struct control_call {
	struct control *control;	 /* NULL: it is gone too */
	struct control_gateway *gateway; /* NULL: nobody waits (any more) */
	uint16_t type;
	uint32_t id;
	struct control_call *next, *previous;
};

struct control_socket {
	Bulkhead__Control__Role role;
	int fd;
	bool qmp_no_negotiation;
};

struct control_terminal {
	char device_id[64];
	char path[64];
};

struct control {
	struct control_options options;
	char vm_name[64];
	struct control_socket sockets[CONTROL_MAX_SOCKETS];
	unsigned socket_count;
	bool has_given_socket; /* one that we have not made ourselves */

	struct channel_row *rows; /* made of the table of commands */
	size_t row_count;

	struct control_gateway *gateway; /* NULL: none, one is to be started by the timer */
	uv_timer_t restart_timer, heartbeat_timer, stop_timer;
	unsigned quick_deaths; /* in a row */
	struct log_ratelimit client_log;

	struct control_call *calls;
	unsigned call_count;
	struct control_call *shutdown_call; /* vm.shutdown or vm.delete waits for the VM's end */
	bool delete_after_shutdown;
	bool vmm_shutdown_asked;
	bool vm_shutdown_told; /* QMP has had its SHUTDOWN for this VM */
	bool reset_asked;      /* by the operator; otherwise it is the guest's doing */
	bool reset_resumes;    /* it began while the VM was paused */
	bool ready_told;
	int32_t ended_gateway_pid;			 /* whose end is expected; 0: nobody's */
	uint64_t snapshot_started_ms, snapshot_ended_ms; /* 0: none, not yet */

	struct control_terminal terminals[CONTROL_MAX_TERMINALS];
	unsigned terminal_count;
	uint64_t events_lost; /* the monitor's reader was too slow */

	bool stopping, stopped;
	unsigned open_handles;
	void (*on_stopped)(void *opaque);
	void *stopped_opaque;
};

/* ---- control_gateway.c ---- */
int control_gateway_make_rows(struct control *control, struct error *err);
void control_gateway_start(struct control *control);
/* Close the channel; a dead gateway is followed by another unless control is stopping. */
void control_gateway_end(struct control_gateway *gateway);
void control_gateway_update(struct control *control); /* after anything that was sent */

/* ---- control_server.c ---- */
void control_finish_stop(struct control *control); /* when nothing is left to close */

/* ---- control_call.c ---- */

/* NULL: too many, and the request is answered already. */
struct control_call *control_call_new(struct control *control, uint16_t type, uint32_t id);
void control_call_forget_gateway(struct control *control, const struct control_gateway *gateway);

/* Answer and free. body NULL: empty. */
void control_call_reply(struct control_call *call, const ProtobufCMessage *body);
void control_call_fail(struct control_call *call, const struct error *err);
void control_call_fail_text(struct control_call *call, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for what was tried and failed: whatever errno the kernel gave for a file or a device,
 * the request was in order, and this says so. */
void control_call_fail_operation(struct control_call *call, const struct error *err);

/* Answer, but keep the call until what it has begun ends with one of the above. */
void control_call_reply_early(struct control_call *call);

/* control goes: what is still under way ends for nobody. */
void control_call_orphan_all(struct control *control);

/* The VM; NULL: there is none, and the call is answered and freed. */
struct vm *control_call_vm(struct control_call *call);

/* ---- control_commands.c ---- */

/* Carries out a command: answers call, at once or later. request is valid during the call. */
typedef void (*control_handler_fn)(struct control *control, const ProtobufCMessage *request,
				   struct control_call *call);

struct control_command {
	uint16_t type;
	const char *name;
	const ProtobufCMessageDescriptor *request;
	control_handler_fn handler;
	unsigned min_fds, max_fds;
};

extern const struct control_command control_commands[];
extern const size_t control_command_count;
const struct control_command *control_command_find(uint16_t type);

/* ---- handlers ---- */
void control_do_create(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call);
void control_do_delete(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call);
void control_do_boot(struct control *control, const ProtobufCMessage *request,
		     struct control_call *call);
void control_do_shutdown(struct control *control, const ProtobufCMessage *request,
			 struct control_call *call);
void control_do_reboot(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call);
void control_do_pause(struct control *control, const ProtobufCMessage *request,
		      struct control_call *call);
void control_do_resume(struct control *control, const ProtobufCMessage *request,
		       struct control_call *call);
void control_do_power_button(struct control *control, const ProtobufCMessage *request,
			     struct control_call *call);
void control_do_nmi(struct control *control, const ProtobufCMessage *request,
		    struct control_call *call);
void control_do_vmm_shutdown(struct control *control, const ProtobufCMessage *request,
			     struct control_call *call);
void control_do_ping(struct control *control, const ProtobufCMessage *request,
		     struct control_call *call);
void control_do_info(struct control *control, const ProtobufCMessage *request,
		     struct control_call *call);
void control_do_counters(struct control *control, const ProtobufCMessage *request,
			 struct control_call *call);
void control_do_processes(struct control *control, const ProtobufCMessage *request,
			  struct control_call *call);
void control_do_resize_disk(struct control *control, const ProtobufCMessage *request,
			    struct control_call *call);
void control_do_snapshot(struct control *control, const ProtobufCMessage *request,
			 struct control_call *call);
void control_do_snapshot_progress(struct control *control, const ProtobufCMessage *request,
				  struct control_call *call);
void control_do_snapshot_cancel(struct control *control, const ProtobufCMessage *request,
				struct control_call *call);
void control_do_restore(struct control *control, const ProtobufCMessage *request,
			struct control_call *call);

/* control_lifecycle.c: a VM has ended; vm.shutdown and vm.delete may be waiting for that. */
void control_finish_shutdown(struct control *control);

/* ---- control_client.c ---- */
/* CLIENT: whose connection is it? 0, or a negative errno with err when it is turned away. */
int control_check_client(struct control *control, Bulkhead__Control__Role role, int fd,
			 struct error *err);

#endif
