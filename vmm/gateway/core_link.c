/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/core_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/vm_json.h"

struct core_call {
	struct gateway *gateway;
	core_reply_fn callback; /* NULL: abandoned */
	void *owner;
	/* What is sent, for calls that first go to the broker. */
	uint16_t type;
	const ProtobufCMessage *request;
	const int *fds;
	unsigned fd_count;
	uint32_t timeout_ms;
	ProtobufCMessage *kept_request; /* owned, until it is sent */
};

static int on_configure(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Control__Configure *body =
		(const Bulkhead__Control__Configure *)message->body;
	struct gateway *gateway = owner;
	int result = -EINVAL;

	if (body->n_sockets == message->fd_count)
		result = gateway_configure(gateway, body, message->fds, err);
	else
		error_set(err, result, "sent %u sockets for %zu", message->fd_count,
			  body->n_sockets);
	if (result == 0)
		(void)channel_reply(gateway->core.channel, message->type, message->id, NULL, NULL,
				    0, NULL);
	return result;
}

/* The text is the operator's file: what is wrong with it is an answer, not a violation. */
static int on_parse_config(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Control__ParseConfig *body =
		(const Bulkhead__Control__ParseConfig *)message->body;
	Bulkhead__Control__ParsedConfig reply = BULKHEAD__CONTROL__PARSED_CONFIG__INIT;
	struct gateway *gateway = owner;
	struct error failure = ERROR_INIT;

	(void)err;
	reply.config = vm_json_parse_text((const char *)body->json.data, body->json.len, &failure);
	if (reply.config)
		(void)channel_reply(gateway->core.channel, message->type, message->id, &reply.base,
				    NULL, 0, NULL);
	else
		(void)channel_reply_error(gateway->core.channel, message->type, message->id,
					  &failure);
	if (reply.config)
		bulkhead__config__vm__free_unpacked(reply.config, NULL);
	return 0;
}

static int on_drain(void *owner, struct channel_message *message, struct error *err)
{
	(void)err;
	gateway_drain(owner, message->id);
	return 0;
}

static int on_alive(void *owner, struct channel_message *message, struct error *err)
{
	struct gateway *gateway = owner;

	(void)err;
	(void)channel_reply(gateway->core.channel, message->type, message->id, NULL, NULL, 0, NULL);
	return 0;
}

static int on_event(void *owner, struct channel_message *message, struct error *err)
{
	(void)err;
	gateway_on_event(owner, (const Bulkhead__Control__Event *)message->body);
	return 0;
}

#define REPLY(type_, name_, body_)                                                                 \
	{                                                                                          \
		.type = CORE_MESSAGE(type_), .kind = FRAME_REPLY, .name = name_,                   \
		.descriptor = &bulkhead__control__##body_##__descriptor                            \
	}

static const struct channel_row rows[] = {
	{.type = CORE_MESSAGE(CONFIGURE),
	 .kind = FRAME_REQUEST,
	 .name = "configure",
	 .descriptor = &bulkhead__control__configure__descriptor,
	 .max_fds = GATEWAY_MAX_SOCKETS,
	 .handler = on_configure},
	{.type = CORE_MESSAGE(PARSE_CONFIG),
	 .kind = FRAME_REQUEST,
	 .name = "parse-config",
	 .descriptor = &bulkhead__control__parse_config__descriptor,
	 .handler = on_parse_config},
	{.type = CORE_MESSAGE(DRAIN),
	 .kind = FRAME_REQUEST,
	 .name = "drain",
	 .descriptor = &bulkhead__control__empty__descriptor,
	 .handler = on_drain},
	{.type = CORE_MESSAGE(ALIVE),
	 .kind = FRAME_REQUEST,
	 .name = "alive",
	 .descriptor = &bulkhead__control__empty__descriptor,
	 .handler = on_alive},
	{.type = CORE_MESSAGE(EVENT),
	 .kind = FRAME_EVENT,
	 .name = "event",
	 .descriptor = &bulkhead__control__event__descriptor,
	 .handler = on_event},
	REPLY(CLIENT, "client", empty),
	REPLY(PING, "ping", pong),
	REPLY(INFO, "info", info),
	REPLY(COUNTERS, "counters", counters),
	REPLY(PROCESSES, "processes", processes),
	REPLY(CREATE, "create", empty),
	REPLY(DELETE, "delete", empty),
	REPLY(BOOT, "boot", empty),
	REPLY(SHUTDOWN, "shutdown", empty),
	REPLY(REBOOT, "reboot", empty),
	REPLY(PAUSE, "pause", empty),
	REPLY(RESUME, "resume", empty),
	REPLY(POWER_BUTTON, "power-button", empty),
	REPLY(NMI, "nmi", empty),
	REPLY(RESIZE_DISK, "resize-disk", empty),
	REPLY(SNAPSHOT, "snapshot", empty),
	REPLY(SNAPSHOT_PROGRESS, "snapshot-progress", snapshot_progress),
	REPLY(SNAPSHOT_CANCEL, "snapshot-cancel", empty),
	REPLY(RESTORE, "restore", empty),
	REPLY(VMM_SHUTDOWN, "vmm-shutdown", empty),
};

static void link_on_closed(void *owner, const struct error *err)
{
	struct gateway *gateway = owner;

	loop_channel_unwatch(&gateway->core.watch);
	if (err->code != -ECONNRESET)
		log_error("%s", err->message);
	loop_stop(gateway->loop, err->code == -ECONNRESET ? 0 : err->code);
}

static void link_on_dispatched(void *opaque)
{
	gateway_update_timer(opaque);
}

int core_link_init(struct core_link *link, struct gateway *gateway, int fd, struct error *err)
{
	static const struct channel_callbacks callbacks = {.closed = link_on_closed};

	link->channel = channel_new(fd, "core", rows, sizeof(rows) / sizeof(rows[0]), &callbacks,
				    gateway, err);
	if (!link->channel)
		return err->code;
	return loop_channel_watch(&link->watch, gateway->loop, link->channel, link_on_dispatched,
				  gateway, err);
}

void core_link_destroy(struct core_link *link)
{
	loop_channel_unwatch(&link->watch);
	channel_destroy(link->channel);
	link->channel = NULL;
}

void core_link_update(struct core_link *link)
{
	loop_channel_update(&link->watch);
}

uint64_t core_link_deadline_ms(const struct core_link *link)
{
	return link->channel ? channel_next_deadline_ms(link->channel) : UINT64_MAX;
}

void core_link_expire(struct core_link *link, uint64_t now_ms)
{
	if (link->channel && channel_next_deadline_ms(link->channel) <= now_ms)
		channel_expire(link->channel, now_ms);
}

/* The channel names its peer in front of the peer's errors; clients see nobody else. */
static const struct error *without_peer(const struct error *err, struct error *copy)
{
	static const char prefix[] = "core: ";

	if (strncmp(err->message, prefix, sizeof(prefix) - 1) != 0)
		return err;
	copy->code = err->code;
	(void)snprintf(copy->message, sizeof(copy->message), "%s",
		       err->message + sizeof(prefix) - 1);
	return copy;
}

static void call_on_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	struct core_call *call = opaque;
	struct gateway *gateway = call->gateway;
	struct error copy;

	if (call->callback)
		call->callback(call->owner, message ? message->body : NULL,
			       message ? NULL : without_peer(err, &copy));
	free(call);
	gateway_retry_clients(gateway);
}

static int call_send(struct core_call *call, struct error *err)
{
	struct gateway *gateway = call->gateway;
	int result = channel_request(gateway->core.channel, call->type, call->request, call->fds,
				     call->fd_count, call->timeout_ms, call_on_reply, call, err);

	core_link_update(&gateway->core);
	gateway_update_timer(gateway);
	return result;
}

/* The broker knows the files that the command names: now the core may open them. */
static void call_on_declared(void *opaque, struct channel_message *message, const struct error *err)
{
	struct core_call *call = opaque;
	struct error failure = ERROR_INIT;
	ProtobufCMessage *request = call->kept_request;

	if (message && call_send(call, &failure) == 0) {
		call->kept_request = NULL;
	} else {
		/* As if the core had refused it. */
		call->kept_request = NULL;
		call_on_reply(call, NULL, message ? &failure : err);
	}
	protobuf_c_message_free_unpacked(request, NULL);
}

/* A copy that lives until the broker has answered. */
static ProtobufCMessage *request_copy(const ProtobufCMessage *request)
{
	size_t bytes = protobuf_c_message_get_packed_size(request);
	cleanup_free uint8_t *packed = malloc(bytes + 1);

	if (!packed)
		return NULL;
	protobuf_c_message_pack(request, packed);
	return protobuf_c_message_unpack(request->descriptor, NULL, bytes, packed);
}

static int call_declare(struct core_call *call, struct error *err)
{
	int result;

	call->kept_request = request_copy(call->request);
	if (!call->kept_request)
		return error_set_errno(err, -ENOMEM, "call the core");
	call->request = call->kept_request;
	result = broker_link_declare(call->gateway, call->type, call->request, call_on_declared,
				     call, err);
	if (result < 0)
		protobuf_c_message_free_unpacked(call->kept_request, NULL);
	return result;
}

int core_link_call(struct gateway *gateway, uint16_t type, const ProtobufCMessage *request,
		   const int *fds, unsigned fd_count, uint32_t timeout_ms, core_reply_fn callback,
		   void *owner, struct core_call **call, struct error *err)
{
	struct core_call *made = malloc(sizeof(*made));
	bool declares =
		gateway->broker.channel && request && !fd_count && broker_link_is_needed(type);
	int result;

	if (!made)
		return error_set_errno(err, -ENOMEM, "call the core");
	*made = (struct core_call){
		.gateway = gateway,
		.callback = callback,
		.owner = owner,
		.type = type,
		.request = request,
		.fds = fds,
		.fd_count = fd_count,
		.timeout_ms = timeout_ms,
	};
	result = declares ? call_declare(made, err) : call_send(made, err);
	if (result < 0) {
		free(made);
		return result;
	}
	*call = made;
	return 0;
}

void core_call_abandon(struct core_call **call)
{
	if (*call)
		(*call)->callback = NULL;
	*call = NULL;
}
