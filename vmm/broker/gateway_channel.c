/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/gateway_channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "proto/broker.pb-c.h"
#include "vmm/broker/broker.h"

struct gateway_channel {
	struct channel *channel;
	bool closed; /* freed outside its callbacks */
};

static int on_gateway_declare(void *owner, struct channel_message *message, struct error *err)
{
	const Bulkhead__Broker__Declare *request = (const Bulkhead__Broker__Declare *)message->body;
	struct broker *broker = owner;
	struct channel *channel = broker->gateway->channel;
	struct error failure = ERROR_INIT;

	(void)err;
	if (broker_declare_all(broker, request, &failure) < 0) {
		(void)channel_reply_error(channel, message->type, message->id, &failure);
		return 0;
	}
	broker->restore_asked_for = request->restore;
	(void)channel_reply(channel, message->type, message->id, NULL, NULL, 0, NULL);
	return 0;
}

static const struct channel_row rows[] = {
	{
		.type = BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_DECLARE,
		.kind = FRAME_REQUEST,
		.name = "declare",
		.descriptor = &bulkhead__broker__declare__descriptor,
		.handler = on_gateway_declare,
	},
};

static void on_gateway_closed(void *owner, const struct error *err)
{
	struct broker *broker = owner;

	if (err->code != -ECONNRESET)
		log_warning("%s", err->message);
	broker->gateway->closed = true;
}

int gateway_channel_open(struct broker *broker, int *gateway_fd, struct error *err)
{
	static const struct channel_callbacks callbacks = {.closed = on_gateway_closed};
	struct gateway_channel *gateway = calloc(1, sizeof(*gateway));
	int ends[2];

	if (!gateway)
		return error_set(err, -ENOMEM, "out of memory");
	if (channel_socketpair(ends, err) < 0) {
		free(gateway);
		return err->code;
	}
	gateway->channel = channel_new(ends[0], "gateway", rows, sizeof(rows) / sizeof(rows[0]),
				       &callbacks, broker, err);
	if (!gateway->channel) {
		close(ends[0]);
		close(ends[1]);
		free(gateway);
		return err->code;
	}
	gateway_channel_close(broker);
	broker->gateway = gateway;
	*gateway_fd = ends[1];
	return 0;
}

int gateway_channel_fd(const struct gateway_channel *gateway)
{
	return gateway ? channel_fd(gateway->channel) : -1;
}

short gateway_channel_poll_events(const struct gateway_channel *gateway)
{
	return gateway ? channel_poll_events(gateway->channel) : 0;
}

void gateway_channel_dispatch(struct broker *broker)
{
	(void)channel_dispatch(broker->gateway->channel, 0);
	if (broker->gateway->closed)
		gateway_channel_close(broker);
}

void gateway_channel_close(struct broker *broker)
{
	struct gateway_channel *gateway = broker->gateway;

	if (!gateway)
		return;
	channel_destroy(gateway->channel);
	broker->gateway = NULL;
	free(gateway);
}
