/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON objects to protobuf messages and back, by one table an object: a field of the API is one
 * row. What no row names is refused; what a row says has no effect in this version is refused by
 * its name, unless it asks for what is the case anyway.
 */
#ifndef BULKHEAD_VMM_GATEWAY_JSON_MESSAGE_H
#define BULKHEAD_VMM_GATEWAY_JSON_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "vmm/gateway/json_errors.h"

#define JSON_PATH_SIZE 128

enum json_rule {
	JSON_FIELD = 0, /* a field of the message */
	JSON_NO_EFFECT, /* only its default (`text`), null and an empty list are accepted */
	JSON_CONSTANT,	/* whatever the client says of this type, `text` is the case */
	JSON_SPECIAL,	/* a string that the object's own read() and write() see to */
};

struct json_object;

struct json_field {
	const char *name;
	enum json_rule rule;
	bool required;
	const char *proto; /* JSON_FIELD: name in the message; NULL: the same name */
	/* JSON_NO_EFFECT, JSON_CONSTANT: JSON text that is accepted and written; NULL: nothing. */
	const char *text;
	uint64_t minimum;		  /* of a number; of a string's length in bytes */
	const struct json_object *object; /* of a message, or of each element of a list of them */
	const char *const *enum_names;	  /* by value; NULL entries have no name */
	unsigned enum_count;
};

struct json_object {
	const ProtobufCMessageDescriptor *message; /* NULL: no field has an effect */
	const struct json_field *fields;
	size_t field_count;
	void (*read)(json_t *object, ProtobufCMessage *message, const char *path,
		     struct json_errors *errors);
	void (*write)(const ProtobufCMessage *message, json_t *object);
};

/*
 * A new message (free with protobuf_c_message_free_unpacked) from value, or NULL with at least one
 * error added. path names value in errors; "" at the top.
 */
ProtobufCMessage *json_message_read(const struct json_object *spec, json_t *value, const char *path,
				    struct json_errors *errors);

/* The object, with the defaults of what has no effect filled in. NULL: out of memory. */
json_t *json_message_write(const struct json_object *spec, const ProtobufCMessage *message);

/* Where a field of a message is. For this module's own files. */
#define JSON_MEMBER(message, type, offset) ((type *)(void *)((char *)(message) + (offset)))
const ProtobufCFieldDescriptor *json_field_descriptor(const struct json_object *spec,
						      const struct json_field *field);

/* Replace a string field by a copy of text. -ENOMEM. */
int json_message_set_string(char **field, const char *text);

#endif
