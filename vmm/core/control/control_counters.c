/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of every device, asked of all workers at once. A worker that cannot answer is left out:
 * one that hangs must not take the others' counters with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/core/control/control_parts.h"
#include "vmm/core/control/control_view.h"

#define MAX_DEVICES  64
#define MAX_COUNTERS 32

struct device_counters {
	char id[64];
	char kind[32];
	struct worker_device_counter counters[MAX_COUNTERS];
	size_t count;
	bool answered;
};

struct collection {
	struct control_call *call;
	unsigned waiting; /* answers to come, and one until all are asked */
	unsigned device_count;
	struct device_counters devices[MAX_DEVICES];
};

/* One device's answer on its way into the collection. */
struct question {
	struct collection *collection;
	unsigned index;
};

static void pack_device(struct device_counters *device, Bulkhead__Control__DeviceCounters *message,
			Bulkhead__Control__Counter *counters, Bulkhead__Control__Counter **pointers)
{
	bulkhead__control__device_counters__init(message);
	message->device_id = device->id;
	message->kind = device->kind;
	message->counters = pointers;
	message->n_counters = device->count;
	for (size_t i = 0; i < device->count; i++) {
		bulkhead__control__counter__init(&counters[i]);
		counters[i].name = device->counters[i].name;
		counters[i].value = device->counters[i].value;
		pointers[i] = &counters[i];
	}
}

struct packing {
	Bulkhead__Control__DeviceCounters devices[MAX_DEVICES], *device_pointers[MAX_DEVICES];
	Bulkhead__Control__Counter counters[MAX_DEVICES][MAX_COUNTERS];
	Bulkhead__Control__Counter *counter_pointers[MAX_DEVICES][MAX_COUNTERS];
};

static void collection_reply(struct collection *collection)
{
	Bulkhead__Control__Counters reply = BULKHEAD__CONTROL__COUNTERS__INIT;
	struct packing *packing = calloc(1, sizeof(*packing));

	if (!packing) {
		control_call_fail_text(collection->call, -ENOMEM, "out of memory");
		return;
	}
	reply.devices = packing->device_pointers;
	for (unsigned i = 0; i < collection->device_count; i++) {
		if (!collection->devices[i].answered)
			continue;
		pack_device(&collection->devices[i], &packing->devices[i], packing->counters[i],
			    packing->counter_pointers[i]);
		packing->device_pointers[reply.n_devices++] = &packing->devices[i];
	}
	control_call_reply(collection->call, &reply.base);
	free(packing);
}

static void collection_count_down(struct collection *collection)
{
	if (--collection->waiting)
		return;
	collection_reply(collection);
	free(collection);
}

static void on_counters(void *opaque, struct worker_device *device,
			const struct worker_device_counter *counters, size_t count,
			const struct error *err)
{
	struct question *question = opaque;
	struct collection *collection = question->collection;
	struct device_counters *answer = &collection->devices[question->index];

	(void)device;
	free(question);
	answer->answered = !err;
	for (size_t i = 0; !err && i < count && i < MAX_COUNTERS; i++)
		answer->counters[answer->count++] = counters[i];
	collection_count_down(collection);
}

static void collection_ask(struct collection *collection, struct worker_device *device,
			   unsigned index)
{
	struct question *question = malloc(sizeof(*question));
	struct error err = ERROR_INIT;

	(void)snprintf(collection->devices[index].id, sizeof(collection->devices[index].id), "%s",
		       worker_device_id(device));
	(void)snprintf(collection->devices[index].kind, sizeof(collection->devices[index].kind),
		       "%s", worker_device_kind(device));
	if (!question)
		return;
	*question = (struct question){collection, index};
	collection->waiting++;
	if (worker_device_counters(device, on_counters, question, &err) < 0) {
		collection->waiting--;
		free(question);
	}
}

void control_do_counters(struct control *control, const ProtobufCMessage *request,
			 struct control_call *call)
{
	struct vm *vm = control_call_vm(call);
	struct collection *collection;

	(void)control;
	(void)request;
	if (!vm)
		return;
	collection = calloc(1, sizeof(*collection));
	if (!collection) {
		control_call_fail_text(call, -ENOMEM, "out of memory");
		return;
	}
	collection->call = call;
	collection->waiting = 1;
	for (unsigned i = 0; i < control_view_device_count(vm) && i < MAX_DEVICES; i++)
		collection_ask(collection, control_view_device(vm, i), collection->device_count++);
	collection_count_down(collection);
}
