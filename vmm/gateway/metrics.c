/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters as Prometheus text (exposition format 0.0.4). All samples of one name must stand
 * together, and devices of one kind have the same counters.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/gateway/api_write.h"
#include "vmm/gateway/buffer.h"

#define METRICS_MAX_BYTES ((size_t)512 * 1024)

static void append(struct buffer *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void append(struct buffer *text, const char *format, ...)
{
	char line[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length > 0 && (size_t)length < sizeof(line))
		(void)buffer_append(text, line, (size_t)length, METRICS_MAX_BYTES);
}

/* Names of counters come from workers: a metric's name is made of few characters. */
static bool name_is_plain(const char *name)
{
	if (!name[0] || strlen(name) > 64)
		return false;
	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && *at != '_')
			return false;
	return true;
}

static const Bulkhead__Control__Counter *
counter_find(const Bulkhead__Control__DeviceCounters *device, const char *name)
{
	for (size_t i = 0; i < device->n_counters; i++)
		if (strcmp(device->counters[i]->name, name) == 0)
			return device->counters[i];
	return NULL;
}

/* All devices of this kind, from the first that has the counter. */
static void append_family(struct buffer *text, const Bulkhead__Control__Counters *counters,
			  const char *kind, const char *name)
{
	append(text, "# TYPE bulkhead_%s_%s counter\n", kind, name);
	for (size_t i = 0; i < counters->n_devices; i++) {
		const Bulkhead__Control__DeviceCounters *device = counters->devices[i];
		const Bulkhead__Control__Counter *counter = counter_find(device, name);

		if (counter && strcmp(device->kind, kind) == 0)
			append(text, "bulkhead_%s_%s{device=\"%s\"} %" PRIu64 "\n", kind, name,
			       device->device_id, counter->value);
	}
}

static bool family_was_written(const Bulkhead__Control__Counters *counters, size_t device_index,
			       const char *name)
{
	const char *kind = counters->devices[device_index]->kind;

	for (size_t i = 0; i < device_index; i++)
		if (strcmp(counters->devices[i]->kind, kind) == 0 &&
		    counter_find(counters->devices[i], name))
			return true;
	return false;
}

char *api_write_metrics(const ProtobufCMessage *reply)
{
	const Bulkhead__Control__Counters *counters = (const Bulkhead__Control__Counters *)reply;
	struct buffer text = {0};

	append(&text, "# TYPE bulkhead_up gauge\nbulkhead_up 1\n");
	for (size_t i = 0; counters && i < counters->n_devices; i++) {
		const Bulkhead__Control__DeviceCounters *device = counters->devices[i];

		for (size_t k = 0; k < device->n_counters; k++) {
			const char *name = device->counters[k]->name;

			if (name_is_plain(name) && name_is_plain(device->kind) &&
			    !family_was_written(counters, i, name))
				append_family(&text, counters, device->kind, name);
		}
	}
	if (buffer_append(&text, "", 1, METRICS_MAX_BYTES + 1) < 0) {
		buffer_free(&text);
		return NULL;
	}
	return text.data; /* nothing was consumed: it begins where it was allocated */
}
