/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/api_write.h"

#include <jansson.h>

#include "vmm/gateway/vm_json.h"

static char *text_of(json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	return text;
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)(value & INT64_MAX));
}

char *api_write_pong(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__Pong *pong = (const Bulkhead__Control__Pong *)reply;

	return text_of(json_pack("{s:s, s:s, s:i, s:[]}", "build_version", pong->version, "version",
				 pong->version, "pid", (int)pong->pid, "features"));
}

char *api_write_info(const ProtobufCMessage *reply)
{
	return text_of(vm_json_write_info((const Bulkhead__Control__Info *)reply));
}

char *api_write_counters(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__Counters *counters = (const Bulkhead__Control__Counters *)reply;
	json_t *object = json_object();

	for (size_t i = 0; i < counters->n_devices; i++) {
		const Bulkhead__Control__DeviceCounters *device = counters->devices[i];
		json_t *values = json_object();

		for (size_t k = 0; k < device->n_counters; k++)
			(void)json_object_set_new(values, device->counters[k]->name,
						  number(device->counters[k]->value));
		(void)json_object_set_new(object, device->device_id, values);
	}
	return text_of(object);
}

char *api_write_processes(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__Processes *list = (const Bulkhead__Control__Processes *)reply;
	json_t *array = json_array();

	for (size_t i = 0; i < list->n_processes; i++) {
		const Bulkhead__Control__Process *process = list->processes[i];

		(void)json_array_append_new(
			array, json_pack("{s:s, s:s, s:i, s:I, s:s}", "role", process->role,
					 "device", process->device_id, "pid", (int)process->pid,
					 "uid", (json_int_t)process->uid, "state", process->state));
	}
	return text_of(array);
}

const char *api_snapshot_status_name(Bulkhead__Control__SnapshotStatus status)
{
	static const char *const names[] = {"none",	 "setup",  "active",
					    "completed", "failed", "cancelled"};

	return (unsigned)status < sizeof(names) / sizeof(*names) ? names[status] : "failed";
}

char *api_write_progress(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__SnapshotProgress *progress =
		(const Bulkhead__Control__SnapshotProgress *)reply;
	json_t *object = json_object();

	(void)json_object_set_new(object, "status",
				  json_string(api_snapshot_status_name(progress->status)));
	if (progress->phase[0])
		(void)json_object_set_new(object, "phase", json_string(progress->phase));
	(void)json_object_set_new(object, "done_bytes", number(progress->done_bytes));
	(void)json_object_set_new(object, "total_bytes", number(progress->total_bytes));
	(void)json_object_set_new(object, "elapsed_ms", number(progress->elapsed_ms));
	if (progress->error[0])
		(void)json_object_set_new(object, "error", json_string(progress->error));
	return text_of(object);
}

char *api_write_event(const Bulkhead__Control__Event *event)
{
	json_t *properties = event->n_properties ? json_object() : json_null();

	for (size_t i = 0; i < event->n_properties; i++)
		(void)json_object_set_new(properties, event->properties[i]->name,
					  json_string(event->properties[i]->value));
	return text_of(json_pack("{s:{s:I, s:i}, s:s, s:s, s:o}", "timestamp", "secs",
				 (json_int_t)(event->seconds & INT64_MAX), "nanos",
				 (int)event->nanoseconds, "source", event->source, "event",
				 event->event, "properties", properties));
}
