/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/broker_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "proto/broker.pb-c.h"
#include "vmm/core/config/resources.h"
#include "vmm/core/config/vm_config.h"
#include "vmm/gateway/gateway.h"

#define DECLARE_TIMEOUT_MS 10000
#define DECLARE		   BULKHEAD__BROKER__MESSAGE_TYPE__MESSAGE_DECLARE

static const struct channel_row rows[] = {
	{.type = DECLARE, .kind = FRAME_REPLY, .name = "declare"},
};

/* Without the broker there is no VM for long: the core's end follows. */
static void link_on_closed(void *owner, const struct error *err)
{
	struct gateway *gateway = owner;

	loop_channel_unwatch(&gateway->broker.watch);
	if (err->code != -ECONNRESET)
		log_error("%s", err->message);
}

static void link_on_dispatched(void *opaque)
{
	gateway_update_timer(opaque);
}

int broker_link_init(struct broker_link *link, struct gateway *gateway, int fd, struct error *err)
{
	static const struct channel_callbacks callbacks = {.closed = link_on_closed};

	link->channel = channel_new(fd, "broker", rows, sizeof(rows) / sizeof(rows[0]), &callbacks,
				    gateway, err);
	if (!link->channel)
		return err->code;
	return loop_channel_watch(&link->watch, gateway->loop, link->channel, link_on_dispatched,
				  gateway, err);
}

void broker_link_destroy(struct broker_link *link)
{
	loop_channel_unwatch(&link->watch);
	channel_destroy(link->channel);
	link->channel = NULL;
}

uint64_t broker_link_deadline_ms(const struct broker_link *link)
{
	return link->channel ? channel_next_deadline_ms(link->channel) : UINT64_MAX;
}

void broker_link_expire(struct broker_link *link, uint64_t now_ms)
{
	if (link->channel && channel_next_deadline_ms(link->channel) <= now_ms)
		channel_expire(link->channel, now_ms);
}

bool broker_link_is_needed(uint16_t command)
{
	return command == CORE_MESSAGE(CREATE) || command == CORE_MESSAGE(SNAPSHOT) ||
	       command == CORE_MESSAGE(RESTORE);
}

/* Completed as the core will complete it, so that ids are the same. */
static struct resource_list *list_of_create(const Bulkhead__Config__Vm *request,
					    Bulkhead__Config__Vm **config)
{
	struct error ignored = ERROR_INIT;

	*config = vm_config_copy(request);
	if (!*config)
		return NULL;
	return resource_list_new(vm_config_complete(*config, &ignored) == 0 ? *config : NULL);
}

static struct resource_list *list_of_directory(const char *path,
					       Bulkhead__Broker__ResourceKind kind)
{
	struct resource_list *list = resource_list_new(NULL);

	if (list && path[0])
		(void)resource_list_add(list, kind, "snapshot", "", path);
	return list;
}

static int link_send(struct gateway *gateway, struct resource_list *list, bool restore,
		     channel_reply_fn done, void *opaque, struct error *err)
{
	Bulkhead__Broker__Declare declare = BULKHEAD__BROKER__DECLARE__INIT;
	int result;

	if (!list)
		return error_set(err, -ENOMEM, "out of memory");
	declare.resources = list->pointers;
	declare.n_resources = list->count;
	declare.restore = restore;
	result = channel_request(gateway->broker.channel, DECLARE, &declare.base, NULL, 0,
				 DECLARE_TIMEOUT_MS, done, opaque, err);
	loop_channel_update(&gateway->broker.watch);
	gateway_update_timer(gateway);
	return result;
}

int broker_link_declare(struct gateway *gateway, uint16_t command, const ProtobufCMessage *request,
			channel_reply_fn done, void *opaque, struct error *err)
{
	const Bulkhead__Control__Snapshot *snapshot = (const Bulkhead__Control__Snapshot *)request;
	const Bulkhead__Control__Restore *restore = (const Bulkhead__Control__Restore *)request;
	cleanup_free struct resource_list *list = NULL;
	Bulkhead__Config__Vm *config = NULL;
	int result;

	if (command == CORE_MESSAGE(CREATE))
		list = list_of_create((const Bulkhead__Config__Vm *)request, &config);
	else if (command == CORE_MESSAGE(SNAPSHOT))
		list = list_of_directory(
			snapshot->directory,
			BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_CREATE);
	else
		list = list_of_directory(restore->directory,
					 BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_DIRECTORY_READ);
	result = link_send(gateway, list, command == CORE_MESSAGE(RESTORE), done, opaque, err);
	vm_config_free(config);
	return result;
}
