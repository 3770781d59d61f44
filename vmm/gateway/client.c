/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/client.h"

#include <errno.h>

#include "ipc/channel.h"
#include "ipc/log.h"
#include "vmm/gateway/gateway.h"

static void client_on_stream(void *owner)
{
	struct client *client = owner;

	client->active_ms = channel_now_ms();
	client->ops->advance(client);
}

static void client_on_broken(void *owner)
{
	client_end(owner);
}

static const struct stream_callbacks stream_callbacks = {
	.readable = client_on_stream,
	.drained = client_on_stream,
	.broken = client_on_broken,
};

/* The core has logged who it is. */
static void client_on_admission(void *owner, const ProtobufCMessage *reply, const struct error *err)
{
	struct client *client = owner;

	(void)reply;
	client->admission = NULL;
	if (err) {
		log_debug("a client is turned away: %s", err->message);
		client_end(client);
		return;
	}
	client->admitted = true;
	client->ops->advance(client);
	if (!client->ended)
		stream_set_reading(&client->stream, true);
}

void client_ask_admission(struct client *client)
{
	Bulkhead__Control__Client request = BULKHEAD__CONTROL__CLIENT__INIT;
	struct error err = ERROR_INIT;
	int result;

	if (client->admitted || client->admission || client->ended)
		return;
	request.role = client->role;
	result = core_link_call(client->gateway, CORE_MESSAGE(CLIENT), &request.base,
				&client->stream.fd, 1, CORE_CALL_SHORT_MS, client_on_admission,
				client, &client->admission, &err);
	if (result < 0 && result != -EBUSY) {
		log_warning("cannot ask the core about a client: %s", err.message);
		client_end(client);
	}
}

int client_begin(struct client *client, struct gateway *gateway, Bulkhead__Control__Role role,
		 int fd, const struct client_ops *ops)
{
	int result = stream_open(&client->stream, gateway->loop, fd, &stream_callbacks, client);

	if (result < 0)
		return result;
	stream_set_reading(&client->stream, false);
	client->ops = ops;
	client->gateway = gateway;
	client->role = role;
	client->deadline_ms = CLIENT_NO_DEADLINE;
	client->active_ms = channel_now_ms();
	client->next = gateway->clients;
	gateway->clients = client;
	gateway->client_counts[role]++;
	client_ask_admission(client);
	return 0;
}

void client_end(struct client *client)
{
	if (client->ended)
		return;
	client->ended = true;
	core_call_abandon(&client->admission);
	client->ops->release(client);
	stream_close(&client->stream);
	client->gateway->client_counts[client->role]--;
	client->gateway->ended_clients = true;
}

void client_set_deadline(struct client *client, uint64_t deadline_ms)
{
	client->deadline_ms = deadline_ms;
	gateway_update_timer(client->gateway);
}
