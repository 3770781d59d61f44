/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/qmp_read.h"

#include <stdlib.h>

#include "proto/control.pb-c.h"
#include "vmm/gateway/api_read.h"
#include "vmm/gateway/json_message.h"

/* "stop" and "cont" of a VM that has stopped, or runs, already succeed. */
static void pause_read(json_t *object, ProtobufCMessage *message, const char *path,
		       struct json_errors *errors)
{
	(void)object;
	(void)path;
	(void)errors;
	((Bulkhead__Control__Pause *)message)->also_when_done = true;
}

static const struct json_object pause_object = {
	.message = &bulkhead__control__pause__descriptor,
	.read = pause_read,
};

ProtobufCMessage *qmp_read_pause(json_t *arguments, struct json_errors *errors)
{
	return json_message_read(&pause_object, arguments, "", errors);
}

static const struct json_field resize_fields[] = {
	{.name = "device", .proto = "id", .required = true, .minimum = 1},
	{.name = "size", .proto = "size_bytes", .required = true, .minimum = 1},
};
static const struct json_object resize = {
	.message = &bulkhead__control__resize_disk__descriptor,
	.fields = resize_fields,
	.field_count = 2,
};

ProtobufCMessage *qmp_read_block_resize(json_t *arguments, struct json_errors *errors)
{
	return json_message_read(&resize, arguments, "", errors);
}

static void migrate_read(json_t *object, ProtobufCMessage *message, const char *path,
			 struct json_errors *errors)
{
	Bulkhead__Control__Snapshot *snapshot = (Bulkhead__Control__Snapshot *)message;
	char *directory = api_read_url(snapshot->directory, "uri", errors);

	(void)object;
	(void)path;
	if (directory && json_message_set_string(&snapshot->directory, directory) < 0)
		json_errors_add(errors, "uri", "out of memory");
	free(directory);
	snapshot->background = true;
}

/* "detach" is what it always does, and clients say so. */
static const struct json_field migrate_fields[] = {
	{.name = "uri", .proto = "directory", .required = true, .minimum = 1},
	{.name = "detach", .rule = JSON_CONSTANT, .text = "true"},
};
static const struct json_object migrate = {
	.message = &bulkhead__control__snapshot__descriptor,
	.fields = migrate_fields,
	.field_count = 2,
	.read = migrate_read,
};

ProtobufCMessage *qmp_read_migrate(json_t *arguments, struct json_errors *errors)
{
	return json_message_read(&migrate, arguments, "", errors);
}
