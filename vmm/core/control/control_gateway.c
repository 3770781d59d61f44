/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway process: started through the broker, given the listening sockets, asked now and then
 * whether it lives, started again. */
#include <errno.h>
#include <stdlib.h>

#include "ipc/cleanup.h"
#include "vmm/core/control/control_parts.h"

#define CONFIGURE_MS   10000
#define HEARTBEAT_MS   15000 /* between questions, and for an answer */
#define QUICK_DEATH_MS 10000 /* a gateway that lives longer is no reason to wait */
#define MAX_DELAY_MS   5000

/* ---- what it asks ---- */

static int gateway_on_command(void *owner, struct channel_message *message, struct error *err)
{
	struct control_gateway *gateway = owner;
	struct control *control = gateway->control;
	const struct control_command *command = control_command_find(message->type);
	struct control_call *call;

	(void)err;
	call = control_call_new(control, message->type, message->id);
	if (call)
		command->handler(control, message->body, call);
	return 0;
}

static int gateway_on_client(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Control__Client *body = (const Bulkhead__Control__Client *)message->body;
	struct control_gateway *gateway = owner;
	struct error failure = ERROR_INIT;

	(void)err;
	if (control_check_client(gateway->control, body->role, message->fds[0], &failure) < 0)
		(void)channel_reply_error(gateway->channel, message->type, message->id, &failure);
	else
		(void)channel_reply(gateway->channel, message->type, message->id, NULL, NULL, 0,
				    NULL);
	return 0;
}

static const struct channel_row fixed_rows[] = {
	{.type = CONTROL_MESSAGE(CONFIGURE), .kind = FRAME_REPLY, .name = "configure"},
	{.type = CONTROL_MESSAGE(PARSE_CONFIG),
	 .kind = FRAME_REPLY,
	 .name = "parse-config",
	 .descriptor = &bulkhead__control__parsed_config__descriptor},
	{.type = CONTROL_MESSAGE(DRAIN), .kind = FRAME_REPLY, .name = "drain"},
	{.type = CONTROL_MESSAGE(ALIVE), .kind = FRAME_REPLY, .name = "alive"},
	{.type = CONTROL_MESSAGE(CLIENT),
	 .kind = FRAME_REQUEST,
	 .name = "client",
	 .descriptor = &bulkhead__control__client__descriptor,
	 .min_fds = 1,
	 .max_fds = 1,
	 .handler = gateway_on_client},
};

#define FIXED_ROW_COUNT (sizeof(fixed_rows) / sizeof(*fixed_rows))

/* The channel's rows are the table of commands, and what is not a command. */
int control_gateway_make_rows(struct control *control, struct error *err)
{
	size_t count = FIXED_ROW_COUNT + control_command_count;

	control->rows = calloc(count, sizeof(*control->rows));
	if (!control->rows)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < FIXED_ROW_COUNT; i++)
		control->rows[i] = fixed_rows[i];
	for (size_t i = 0; i < control_command_count; i++)
		control->rows[FIXED_ROW_COUNT + i] = (struct channel_row){
			.type = control_commands[i].type,
			.kind = FRAME_REQUEST,
			.name = control_commands[i].name,
			.descriptor = control_commands[i].request,
			.min_fds = control_commands[i].min_fds,
			.max_fds = control_commands[i].max_fds,
			.handler = gateway_on_command,
		};
	control->row_count = count;
	return 0;
}

/* ---- its end ---- */

static void control_start_later(struct control *control);

static void gateway_on_watch_closed(void *opaque)
{
	struct control_gateway *gateway = opaque;
	struct control *control = gateway->control;

	channel_destroy(gateway->channel);
	free(gateway);
	control->gateway = NULL;
	if (control->stopping)
		control_finish_stop(control);
	else
		control_start_later(control);
}

void control_gateway_end(struct control_gateway *gateway)
{
	struct control *control = gateway->control;
	bool was_quick = channel_now_ms() - gateway->started_ms < QUICK_DEATH_MS;

	if (gateway->closing)
		return;
	gateway->closing = true;
	uv_timer_stop(&control->heartbeat_timer);
	control->quick_deaths = was_quick ? control->quick_deaths + 1 : 0;
	control_call_forget_gateway(control, gateway);
	/* Its socket may close before the broker has said whether it was started at all. */
	broker_spawn_forget(control->options.broker, gateway);
	control->ended_gateway_pid = gateway->pid;
	if (gateway->pid > 0)
		(void)broker_kill(control->options.broker, gateway->pid, NULL);
	gateway->pid = 0;
	channel_watch_close(&gateway->watch, gateway_on_watch_closed, gateway);
}

/* It is dead, or as good as dead. */
static void gateway_lost(struct control_gateway *gateway, const struct error *err)
{
	if (!gateway->control->stopping && !gateway->closing) {
		log_warning("the control sockets are served again in a moment: %s", err->message);
		control_event(gateway->control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER,
			      "gateway", "died", "reason", err->message, NULL);
	}
	channel_watch_stop(&gateway->watch);
	control_gateway_end(gateway);
}

static void gateway_on_closed(void *owner, const struct error *err)
{
	gateway_lost(owner, err);
}

/* ---- its life ---- */

static void gateway_wait_heartbeat(struct control_gateway *gateway);

static void gateway_on_alive(void *opaque, struct channel_message *message, const struct error *err)
{
	struct control_gateway *gateway = opaque;

	if (message)
		gateway_wait_heartbeat(gateway);
	else if (err->code == -ETIMEDOUT)
		gateway_lost(gateway, err);
}

static void control_on_heartbeat_timer(uv_timer_t *timer)
{
	struct control *control = timer->data;
	struct control_gateway *gateway = control->gateway;
	struct error err = ERROR_INIT;

	if (!gateway || gateway->closing)
		return;
	if (channel_request(gateway->channel, CONTROL_MESSAGE(ALIVE), NULL, NULL, 0,
			    control->options.heartbeat_ms, gateway_on_alive, gateway, &err) < 0)
		gateway_lost(gateway, &err);
	else
		channel_watch_update(&gateway->watch);
}

static void gateway_wait_heartbeat(struct control_gateway *gateway)
{
	struct control *control = gateway->control;

	if (!control->options.heartbeat_ms)
		control->options.heartbeat_ms = HEARTBEAT_MS;
	if (!gateway->closing && !control->stopping)
		uv_timer_start(&control->heartbeat_timer, control_on_heartbeat_timer,
			       control->options.heartbeat_ms, 0);
}

/* ---- its beginning ---- */

static void gateway_on_spawned(void *opaque, int32_t pid, uint32_t uid, const struct error *err)
{
	struct control_gateway *gateway = opaque;

	if (err) {
		log_error("cannot start the gateway: %s", err->message);
		control_gateway_end(gateway);
		return;
	}
	gateway->pid = pid;
	gateway->uid = uid;
	control_event(gateway->control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER, "gateway",
		      "started", NULL);
}

static void gateway_on_configured(void *opaque, struct channel_message *message,
				  const struct error *err)
{
	struct control_gateway *gateway = opaque;

	if (message)
		gateway_wait_heartbeat(gateway);
	else if (err->code == -ETIMEDOUT)
		gateway_lost(gateway, err);
	else if (err->code != -ECANCELED && err->code != -ECONNRESET)
		log_error("the gateway does not take its sockets: %s", err->message);
}

static int gateway_configure(struct control_gateway *gateway, struct error *err)
{
	Bulkhead__Control__Configure configure = BULKHEAD__CONTROL__CONFIGURE__INIT;
	Bulkhead__Control__Socket sockets[CONTROL_MAX_SOCKETS];
	Bulkhead__Control__Socket *pointers[CONTROL_MAX_SOCKETS];
	const struct control *control = gateway->control;
	int fds[CONTROL_MAX_SOCKETS];
	char vm_name[sizeof(control->vm_name)];

	for (unsigned i = 0; i < control->socket_count; i++) {
		bulkhead__control__socket__init(&sockets[i]);
		sockets[i].role = control->sockets[i].role;
		sockets[i].qmp_no_negotiation = control->sockets[i].qmp_no_negotiation;
		pointers[i] = &sockets[i];
		fds[i] = control->sockets[i].fd;
	}
	configure.sockets = pointers;
	configure.n_sockets = control->socket_count;
	(void)snprintf(vm_name, sizeof(vm_name), "%s", control->vm_name);
	configure.vm_name = vm_name;
	return channel_request(gateway->channel, CONTROL_MESSAGE(CONFIGURE), &configure.base, fds,
			       control->socket_count, CONFIGURE_MS, gateway_on_configured, gateway,
			       err);
}

/* The channel on one end of a new pair; the other end is given to the broker. */
static int gateway_connect(struct control_gateway *gateway, int *core_fd, struct error *err)
{
	static const struct channel_callbacks callbacks = {.closed = gateway_on_closed};
	struct control *control = gateway->control;
	int ends[2];

	if (channel_socketpair(ends, err) < 0)
		return err->code;
	gateway->channel = channel_new(ends[0], "gateway", control->rows, control->row_count,
				       &callbacks, gateway, err);
	if (!gateway->channel) {
		close(ends[0]);
		close(ends[1]);
		return err->code;
	}
	*core_fd = ends[1];
	return channel_watch_start(&gateway->watch, control->options.loop, gateway->channel, err);
}

void control_gateway_start(struct control *control)
{
	struct control_gateway *gateway = calloc(1, sizeof(*gateway));
	struct error err = ERROR_INIT;
	cleanup_fd int core_fd = -1;

	if (!gateway) {
		control_start_later(control);
		return;
	}
	*gateway = (struct control_gateway){.control = control, .started_ms = channel_now_ms()};
	control->gateway = gateway;
	if (gateway_connect(gateway, &core_fd, &err) < 0) {
		log_error("cannot start the gateway: %s", err.message);
		channel_destroy(gateway->channel);
		free(gateway);
		control->gateway = NULL;
		control->quick_deaths++;
		control_start_later(control);
		return;
	}
	if (gateway_configure(gateway, &err) < 0 ||
	    broker_spawn_helper(control->options.broker, "gateway", "gateway", core_fd,
				gateway_on_spawned, gateway, &err) < 0) {
		log_error("cannot start the gateway: %s", err.message);
		control_gateway_end(gateway);
		return;
	}
	channel_watch_update(&gateway->watch);
}

static void control_on_restart_timer(uv_timer_t *timer)
{
	struct control *control = timer->data;

	if (!control->gateway && !control->stopping)
		control_gateway_start(control);
}

/* At once after a long life; with growing pauses when one after the other dies young. */
static void control_start_later(struct control *control)
{
	unsigned shift = control->quick_deaths > 1 ? control->quick_deaths - 1 : 0;
	uint64_t delay_ms = shift ? (uint64_t)50 << (shift < 8 ? shift : 8) : 0;

	uv_timer_start(&control->restart_timer, control_on_restart_timer,
		       delay_ms < MAX_DELAY_MS ? delay_ms : MAX_DELAY_MS, 0);
}

void control_gateway_update(struct control *control)
{
	if (control->gateway && !control->gateway->closing)
		channel_watch_update(&control->gateway->watch);
}
