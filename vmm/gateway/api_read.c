/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/api_read.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control.pb-c.h"
#include "vmm/gateway/json_message.h"
#include "vmm/gateway/vm_json.h"
#include "vmm/gateway/vm_json_tables.h"

ProtobufCMessage *api_read_create(json_t *body, struct json_errors *errors)
{
	Bulkhead__Config__Vm *config = vm_json_read(body, errors);

	return config ? &config->base : NULL;
}

static const struct json_field resize_disk_fields[] = {
	{.name = "id", .required = true, .minimum = 1},
	{.name = "desired_size", .proto = "size_bytes", .required = true, .minimum = 1},
};
static const struct json_object resize_disk = {
	.message = &bulkhead__control__resize_disk__descriptor,
	.fields = resize_disk_fields,
	.field_count = 2,
};

ProtobufCMessage *api_read_resize_disk(json_t *body, struct json_errors *errors)
{
	return json_message_read(&resize_disk, body, "", errors);
}

/* ---- URLs ---- */

static int hex_digit(char digit)
{
	if (isdigit((unsigned char)digit))
		return digit - '0';
	return isxdigit((unsigned char)digit) ? tolower((unsigned char)digit) - 'a' + 10 : -1;
}

/* In place; false: not valid, or a NUL byte. */
static bool percent_decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		int high, low;

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = hex_digit(from[1]);
		low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || high * 16 + low == 0)
			return false;
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

char *api_read_url(const char *url, const char *field, struct json_errors *errors)
{
	static const char host[] = "//localhost/";
	const char *path = url;
	char *copy;

	if (strncmp(url, "file:", 5) != 0) {
		json_errors_add(errors, field, "only file:///DIRECTORY is supported");
		return NULL;
	}
	path += 5;
	if (strncmp(path, host, sizeof(host) - 1) == 0)
		path += sizeof(host) - 2;
	else if (strncmp(path, "//", 2) == 0)
		path += 2;
	if (path[0] != '/') {
		json_errors_add(errors, field, "must be an absolute path on this host");
		return NULL;
	}
	copy = strdup(path);
	if (copy && percent_decode(copy))
		return copy;
	json_errors_add(errors, field, copy ? "is not a valid URL" : "out of memory");
	free(copy);
	return NULL;
}

/* Directories arrive as URLs in a field that the table has put into the message as it came. */
static void directory_read(char **directory, const char *field, struct json_errors *errors)
{
	char *path = api_read_url(*directory, field, errors);

	if (path && json_message_set_string(directory, path) < 0)
		json_errors_add(errors, field, "out of memory");
	free(path);
}

static void snapshot_read(json_t *object, ProtobufCMessage *message, const char *path,
			  struct json_errors *errors)
{
	(void)object;
	(void)path;
	directory_read(&((Bulkhead__Control__Snapshot *)message)->directory, "destination_url",
		       errors);
}

static const struct json_field snapshot_fields[] = {
	{.name = "destination_url", .proto = "directory", .required = true, .minimum = 1},
};
static const struct json_object snapshot = {
	.message = &bulkhead__control__snapshot__descriptor,
	.fields = snapshot_fields,
	.field_count = 1,
	.read = snapshot_read,
};

ProtobufCMessage *api_read_snapshot(json_t *body, struct json_errors *errors)
{
	return json_message_read(&snapshot, body, "", errors);
}

/* ---- restore ---- */

static void override_read(json_t *object, ProtobufCMessage *message, const char *path,
			  struct json_errors *errors)
{
	Bulkhead__Control__Override *override = (Bulkhead__Control__Override *)message;

	override->has_mode = json_is_string(json_object_get(object, "mode"));
	if (!override->has_mode && !override->path[0])
		json_errors_add(errors, path, "says neither path nor mode");
}

static const struct json_field override_fields[] = {
	{.name = "id", .required = true, .minimum = 1},
	{.name = "path", .minimum = 1},
	{.name = "readonly", .proto = "read_only"},
	{.name = "mode", .enum_names = vm_json_console_modes, .enum_count = 7},
};
static const struct json_object override_object = {
	.message = &bulkhead__control__override__descriptor,
	.fields = override_fields,
	.field_count = 4,
	.read = override_read,
};

static void restore_read(json_t *object, ProtobufCMessage *message, const char *path,
			 struct json_errors *errors)
{
	(void)object;
	(void)path;
	directory_read(&((Bulkhead__Control__Restore *)message)->directory, "source_url", errors);
}

static const char *const restore_modes[] = {"Copy", "OnDemand"};

static const struct json_field restore_fields[] = {
	{.name = "source_url", .proto = "directory", .required = true, .minimum = 1},
	{.name = "prefault"},
	{.name = "memory_restore_mode",
	 .proto = "mode",
	 .enum_names = restore_modes,
	 .enum_count = 2},
	{.name = "resume"},
	{.name = "force"},
	{.name = "overrides", .object = &override_object},
	{.name = "net_fds", .rule = JSON_NO_EFFECT},
	{.name = "zone_updates", .rule = JSON_NO_EFFECT},
};
static const struct json_object restore = {
	.message = &bulkhead__control__restore__descriptor,
	.fields = restore_fields,
	.field_count = sizeof(restore_fields) / sizeof(*restore_fields),
	.read = restore_read,
};

ProtobufCMessage *api_read_restore(json_t *body, struct json_errors *errors)
{
	return json_message_read(&restore, body, "", errors);
}
