/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/json_message.h"

#include <stdlib.h>

static json_t *write_list(const struct json_field *field,
			  const ProtobufCFieldDescriptor *descriptor,
			  const ProtobufCMessage *message)
{
	ProtobufCMessage *const *list =
		*JSON_MEMBER(message, ProtobufCMessage *const *, descriptor->offset);
	size_t count = *JSON_MEMBER(message, const size_t, descriptor->quantifier_offset);
	json_t *array;

	if (count == 0)
		return NULL;
	array = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(array, json_message_write(field->object, list[i]));
	return array;
}

static json_t *write_string(const char *text)
{
	json_t *value;

	if (!text[0])
		return NULL;
	value = json_string(text);
	/* A path of the command line may be any bytes. */
	return value ? value : json_string("(not UTF-8)");
}

/* NULL: absent. */
static json_t *write_member(const struct json_object *spec, const struct json_field *field,
			    const ProtobufCMessage *message)
{
	const ProtobufCFieldDescriptor *descriptor = json_field_descriptor(spec, field);
	const void *source = JSON_MEMBER(message, const char, descriptor->offset);
	int number;

	if (descriptor->label == PROTOBUF_C_LABEL_REPEATED)
		return write_list(field, descriptor, message);
	switch (descriptor->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)source);
	case PROTOBUF_C_TYPE_UINT32:
		return json_integer(*(const uint32_t *)source);
	case PROTOBUF_C_TYPE_UINT64:
		return json_integer((json_int_t)(*(const uint64_t *)source & INT64_MAX));
	case PROTOBUF_C_TYPE_STRING:
		return write_string(*(const char *const *)source);
	case PROTOBUF_C_TYPE_ENUM:
		number = *(const int *)source;
		return number >= 0 && (unsigned)number < field->enum_count &&
				       field->enum_names[number]
			       ? json_string(field->enum_names[number])
			       : NULL;
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(ProtobufCMessage *const *)source
			       ? json_message_write(field->object,
						    *(ProtobufCMessage *const *)source)
			       : NULL;
	default:
		return NULL;
	}
}

json_t *json_message_write(const struct json_object *spec, const ProtobufCMessage *message)
{
	json_t *object = json_object();

	for (size_t i = 0; i < spec->field_count; i++) {
		const struct json_field *field = &spec->fields[i];
		json_t *value = NULL;

		if (field->rule == JSON_FIELD)
			value = write_member(spec, field, message);
		else if (field->rule != JSON_SPECIAL && field->text)
			value = json_loads(field->text, JSON_DECODE_ANY, NULL);
		if (value)
			(void)json_object_set_new(object, field->name, value);
	}
	if (spec->write)
		spec->write(message, object);
	return object;
}
