/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <jansson.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"

static void gateway_reap_clients(struct gateway *gateway)
{
	struct client **link = &gateway->clients;

	gateway->ended_clients = false;
	while (*link) {
		struct client *client = *link;

		if (!client->ended) {
			link = &client->next;
			continue;
		}
		*link = client->next;
		free(client);
	}
}

static bool gateway_has_output(const struct gateway *gateway)
{
	for (const struct client *client = gateway->clients; client; client = client->next)
		if (!client->ended && stream_has_output(&client->stream))
			return true;
	return false;
}

/* Before the loop sleeps: nobody holds a pointer to a client now. */
static bool gateway_on_idle(void *opaque)
{
	struct gateway *gateway = opaque;

	if (gateway->ended_clients)
		gateway_reap_clients(gateway);
	if (gateway->draining && !gateway_has_output(gateway)) {
		gateway->draining = false;
		(void)channel_reply(gateway->core.channel, CORE_MESSAGE(DRAIN),
				    gateway->drain_request_id, NULL, NULL, 0, NULL);
		core_link_update(&gateway->core);
	}
	return false;
}

static void gateway_on_timer(void *opaque)
{
	struct gateway *gateway = opaque;
	uint64_t now_ms = channel_now_ms();

	core_link_expire(&gateway->core, now_ms);
	core_link_update(&gateway->core);
	broker_link_expire(&gateway->broker, now_ms);
	for (struct client *client = gateway->clients; client; client = client->next) {
		if (client->ended || client->deadline_ms > now_ms)
			continue;
		client->deadline_ms = CLIENT_NO_DEADLINE;
		client->ops->expired(client);
	}
	if (gateway->paused_accepting) {
		gateway->paused_accepting = false;
		for (unsigned i = 0; i < gateway->listener_count; i++)
			listener_set_accepting(&gateway->listeners[i], true);
	}
	gateway_update_timer(gateway);
}

void gateway_update_timer(struct gateway *gateway)
{
	uint64_t first_ms = core_link_deadline_ms(&gateway->core);
	uint64_t broker_ms = broker_link_deadline_ms(&gateway->broker);

	if (broker_ms < first_ms)
		first_ms = broker_ms;
	for (const struct client *client = gateway->clients; client; client = client->next)
		if (!client->ended && client->deadline_ms < first_ms)
			first_ms = client->deadline_ms;
	if (gateway->paused_accepting && first_ms > channel_now_ms() + 100)
		first_ms = channel_now_ms() + 100;
	(void)loop_set_timer(gateway->loop, first_ms, gateway_on_timer, gateway);
}

/* jansson would look for a seed in files that are not there, and take the time. */
static int gateway_seed_hashes(struct error *err)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return error_set_errno(err, -errno, "getrandom");
	json_object_seed(seed ? seed : 1);
	return 0;
}

int gateway_init(struct gateway *gateway, int core_fd, struct error *err)
{
	*gateway = (struct gateway){0};
	if (gateway_seed_hashes(err) < 0) {
		close(core_fd);
		return err->code;
	}
	gateway->loop = loop_new();
	if (!gateway->loop) {
		close(core_fd);
		return error_set_errno(err, -errno, "event loop");
	}
	loop_set_idle(gateway->loop, gateway_on_idle, gateway);
	if (core_link_init(&gateway->core, gateway, core_fd, err) < 0) {
		if (!gateway->core.channel)
			close(core_fd);
		return err->code;
	}
	return 0;
}

int gateway_run(struct gateway *gateway)
{
	return loop_run(gateway->loop);
}

void gateway_destroy(struct gateway *gateway)
{
	for (struct client *client = gateway->clients; client; client = client->next)
		client_end(client);
	gateway_reap_clients(gateway);
	for (unsigned i = 0; i < gateway->listener_count; i++)
		listener_close(&gateway->listeners[i]);
	gateway->listener_count = 0;
	if (gateway->loop) {
		broker_link_destroy(&gateway->broker);
		core_link_destroy(&gateway->core);
	}
	loop_destroy(gateway->loop);
	gateway->loop = NULL;
}

int gateway_configure(struct gateway *gateway, const Bulkhead__Control__Configure *configure,
		      int *fds, struct error *err)
{
	if (gateway->listener_count)
		return error_set(err, -EINVAL, "sent a second configuration");
	(void)snprintf(gateway->vm_name, sizeof(gateway->vm_name), "%s", configure->vm_name);
	for (size_t i = 0; i < configure->n_sockets; i++) {
		int result = listener_open(&gateway->listeners[i], gateway, fd_steal(&fds[i]),
					   configure->sockets[i]);

		if (result < 0)
			return error_set_errno(err, result, "listening socket %zu", i);
		gateway->listener_count++;
	}
	return 0;
}

void gateway_on_event(struct gateway *gateway, const Bulkhead__Control__Event *event)
{
	for (struct client *client = gateway->clients; client; client = client->next)
		if (!client->ended && client->admitted && client->ops->event)
			client->ops->event(client, event);
}

void gateway_drain(struct gateway *gateway, uint32_t request_id)
{
	gateway->draining = true;
	gateway->drain_request_id = request_id;
}

void gateway_retry_clients(struct gateway *gateway)
{
	for (struct client *client = gateway->clients; client; client = client->next) {
		client_ask_admission(client);
		if (!client->ended && client->ops->retry)
			client->ops->retry(client);
	}
}
