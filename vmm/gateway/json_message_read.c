/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/json_message.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void path_join(char path[JSON_PATH_SIZE], const char *parent, const char *name)
{
	(void)snprintf(path, JSON_PATH_SIZE, "%s%s%s", parent, parent[0] ? "." : "", name);
}

static const struct json_field *field_find(const struct json_object *spec, const char *name)
{
	for (size_t i = 0; i < spec->field_count; i++)
		if (strcmp(spec->fields[i].name, name) == 0)
			return &spec->fields[i];
	return NULL;
}

const ProtobufCFieldDescriptor *json_field_descriptor(const struct json_object *spec,
						      const struct json_field *field)
{
	return protobuf_c_message_descriptor_get_field_by_name(
		spec->message, field->proto ? field->proto : field->name);
}

int json_message_set_string(char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	if (*field != protobuf_c_empty_string)
		free(*field);
	*field = copy;
	return 0;
}

static void read_bool(json_t *value, protobuf_c_boolean *target, const char *path,
		      struct json_errors *errors)
{
	if (json_is_boolean(value))
		*target = json_is_true(value);
	else
		json_errors_add(errors, path, "must be true or false");
}

static void read_number(json_t *value, const struct json_field *field, uint64_t maximum,
			uint64_t *target, const char *path, struct json_errors *errors)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value))
		json_errors_add(errors, path, "must be an integer");
	else if (number < 0 || (uint64_t)number < field->minimum || (uint64_t)number > maximum)
		json_errors_add(errors, path, "must be from %" PRIu64 " to %" PRIu64,
				field->minimum, maximum);
	else
		*target = (uint64_t)number;
}

static void read_string(json_t *value, const struct json_field *field, char **target,
			const char *path, struct json_errors *errors)
{
	if (!json_is_string(value))
		json_errors_add(errors, path, "must be a string");
	else if (json_string_length(value) < field->minimum)
		json_errors_add(errors, path, "must not be empty");
	else if (json_message_set_string(target, json_string_value(value)) < 0)
		json_errors_add(errors, path, "out of memory");
}

static void read_enum(json_t *value, const struct json_field *field, int *target, const char *path,
		      struct json_errors *errors)
{
	char known[JSON_PATH_SIZE] = "";
	size_t used = 0;

	for (unsigned i = 0; i < field->enum_count; i++) {
		if (!field->enum_names[i])
			continue;
		if (json_is_string(value) &&
		    strcmp(field->enum_names[i], json_string_value(value)) == 0) {
			*target = (int)i;
			return;
		}
		if (used < sizeof(known))
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
						 used ? ", " : "", field->enum_names[i]);
	}
	json_errors_add(errors, path, "must be one of %s", known);
}

static void read_list(json_t *value, const struct json_field *field,
		      const ProtobufCFieldDescriptor *descriptor, ProtobufCMessage *message,
		      const char *path, struct json_errors *errors)
{
	ProtobufCMessage ***list = JSON_MEMBER(message, ProtobufCMessage **, descriptor->offset);
	size_t *count = JSON_MEMBER(message, size_t, descriptor->quantifier_offset);
	char element_path[JSON_PATH_SIZE];
	size_t index;
	json_t *element;

	if (!json_is_array(value)) {
		json_errors_add(errors, path, "must be a list");
		return;
	}
	if (json_array_size(value) == 0)
		return;
	*list = calloc(json_array_size(value), sizeof(**list));
	if (!*list) {
		json_errors_add(errors, path, "out of memory");
		return;
	}
	json_array_foreach(value, index, element)
	{
		(void)snprintf(element_path, sizeof(element_path), "%.100s[%zu]", path, index);
		(*list)[*count] = json_message_read(field->object, element, element_path, errors);
		if (!(*list)[*count])
			return;
		(*count)++;
	}
}

static void read_member(const struct json_object *spec, const struct json_field *field,
			json_t *value, ProtobufCMessage *message, const char *path,
			struct json_errors *errors)
{
	const ProtobufCFieldDescriptor *descriptor = json_field_descriptor(spec, field);
	void *target = JSON_MEMBER(message, char, descriptor->offset);
	uint64_t number = 0;

	assert(message); /* the table of an object without a message has no such row */
	if (descriptor->label == PROTOBUF_C_LABEL_REPEATED) {
		read_list(value, field, descriptor, message, path, errors);
		return;
	}
	switch (descriptor->type) {
	case PROTOBUF_C_TYPE_BOOL:
		read_bool(value, target, path, errors);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		read_number(value, field, UINT32_MAX, &number, path, errors);
		*(uint32_t *)target = (uint32_t)number;
		break;
	case PROTOBUF_C_TYPE_UINT64:
		read_number(value, field, INT64_MAX, target, path, errors);
		break;
	case PROTOBUF_C_TYPE_STRING:
		read_string(value, field, target, path, errors);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		read_enum(value, field, target, path, errors);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)target =
			json_message_read(field->object, value, path, errors);
		break;
	default:
		json_errors_add(errors, path, "cannot be read");
	}
}

/* Objects whose members have no effect are looked into, so that the member is named. */
static void read_no_effect(const struct json_field *field, json_t *value, const char *path,
			   struct json_errors *errors)
{
	json_t *accepted = field->text ? json_loads(field->text, JSON_DECODE_ANY, NULL) : NULL;
	bool same =
		accepted && (field->rule == JSON_CONSTANT
				     ? json_typeof(accepted) == json_typeof(value) ||
					       (json_is_boolean(accepted) && json_is_boolean(value))
				     : json_equal(accepted, value));

	json_decref(accepted);
	if (same || (json_is_array(value) && json_array_size(value) == 0))
		return;
	if (field->object && json_is_object(value))
		(void)json_message_read(field->object, value, path, errors);
	else if (field->text)
		json_errors_add(errors, path, "not supported by this version; only %s is",
				field->text);
	else
		json_errors_add(errors, path, "not supported by this version");
}

static void read_field(const struct json_object *spec, const struct json_field *field,
		       json_t *value, ProtobufCMessage *message, const char *path,
		       struct json_errors *errors)
{
	/* null is how some clients write "absent". */
	if (json_is_null(value) && !field->required)
		return;
	switch (field->rule) {
	case JSON_FIELD:
		read_member(spec, field, value, message, path, errors);
		break;
	case JSON_NO_EFFECT:
	case JSON_CONSTANT:
		read_no_effect(field, value, path, errors);
		break;
	case JSON_SPECIAL:
		if (!json_is_string(value))
			json_errors_add(errors, path, "must be a string");
		break;
	}
}

static void read_required(const struct json_object *spec, json_t *value, const char *path,
			  struct json_errors *errors)
{
	char field_path[JSON_PATH_SIZE];

	for (size_t i = 0; i < spec->field_count; i++) {
		if (!spec->fields[i].required || json_object_get(value, spec->fields[i].name))
			continue;
		path_join(field_path, path, spec->fields[i].name);
		json_errors_add(errors, field_path, "is missing");
	}
}

static ProtobufCMessage *message_new(const ProtobufCMessageDescriptor *descriptor)
{
	ProtobufCMessage *message = calloc(1, descriptor->sizeof_message);

	if (message)
		protobuf_c_message_init(descriptor, message);
	return message;
}

ProtobufCMessage *json_message_read(const struct json_object *spec, json_t *value, const char *path,
				    struct json_errors *errors)
{
	unsigned errors_before = errors->count;
	ProtobufCMessage *message = NULL;
	char field_path[JSON_PATH_SIZE];
	const char *name;
	json_t *member;

	if (!json_is_object(value)) {
		json_errors_add(errors, path, "must be an object");
		return NULL;
	}
	if (spec->message) {
		message = message_new(spec->message);
		if (!message) {
			json_errors_add(errors, path, "out of memory");
			return NULL;
		}
	}
	json_object_foreach(value, name, member)
	{
		const struct json_field *field = field_find(spec, name);

		path_join(field_path, path, name);
		if (field)
			read_field(spec, field, member, message, field_path, errors);
		else
			json_errors_add(errors, field_path, "unknown field");
	}
	read_required(spec, value, path, errors);
	if (spec->read && errors->count == errors_before)
		spec->read(value, message, path, errors);
	if (message && errors->count != errors_before) {
		protobuf_c_message_free_unpacked(message, NULL);
		message = NULL;
	}
	return message;
}
