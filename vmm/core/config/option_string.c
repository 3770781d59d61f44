/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/config/option_string.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#define MAX_VALUE_BYTES 4096

int option_set_string(char **target, const char *text, size_t length_bytes)
{
	char *copy = strndup(text, length_bytes);

	if (!copy)
		return -ENOMEM;
	option_free_string(*target);
	*target = copy;
	return 0;
}

void option_free_string(char *text)
{
	if (text != (const char *)protobuf_c_empty_string)
		free(text);
}

int option_parse_count(const char *text, uint64_t maximum, uint64_t *value)
{
	uint64_t result = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || __builtin_mul_overflow(result, 10, &result) ||
		    __builtin_add_overflow(result, digit, &result) || result > maximum)
			return -EINVAL;
	}
	*value = result;
	return 0;
}

static int size_suffix_shift(char suffix)
{
	switch (suffix) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	case 't':
	case 'T':
		return 40;
	default:
		return 0;
	}
}

int option_parse_size(const char *text, uint64_t *bytes)
{
	size_t length = strlen(text);
	int shift = length ? size_suffix_shift(text[length - 1]) : 0;
	char digits[24];
	uint64_t value;

	if (shift)
		length--;
	if (!length || length >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, length);
	digits[length] = '\0';
	if (option_parse_count(digits, UINT64_MAX >> shift, &value) < 0)
		return -EINVAL;
	*bytes = value << shift;
	return 0;
}

static int option_set_switch(protobuf_c_boolean *target, const char *value)
{
	if (strcmp(value, "on") == 0 || strcmp(value, "true") == 0)
		*target = true;
	else if (strcmp(value, "off") == 0 || strcmp(value, "false") == 0)
		*target = false;
	else
		return -EINVAL;
	return 0;
}

/* In a configuration zero means the default: who writes it means something else. */
static int option_is_zero(const char *option, const struct option_field *field, struct error *err)
{
	return error_set(err, -EINVAL, "%s: %s=0: must be more; leave it out for the default",
			 option, field->name);
}

static int option_set_field(const char *option, const struct option_field *field, const char *value,
			    struct error *err)
{
	uint64_t number;

	switch (field->type) {
	case OPTION_STRING:
		if (!*value)
			return error_set(err, -EINVAL, "%s: %s= needs a value", option,
					 field->name);
		return option_set_string(field->target, value, strlen(value));
	case OPTION_SIZE:
		if (option_parse_size(value, &number) < 0)
			return error_set(err, -EINVAL,
					 "%s: %s=%s is not a size; write bytes or 512K, 512M, 4G",
					 option, field->name, value);
		if (!number)
			return option_is_zero(option, field, err);
		*(uint64_t *)field->target = number;
		return 0;
	case OPTION_COUNT:
		if (option_parse_count(value, UINT32_MAX, &number) < 0)
			return error_set(err, -EINVAL, "%s: %s=%s is not a whole number", option,
					 field->name, value);
		if (!number)
			return option_is_zero(option, field, err);
		*(uint32_t *)field->target = (uint32_t)number;
		return 0;
	case OPTION_SWITCH:
		if (option_set_switch(field->target, value) < 0)
			return error_set(err, -EINVAL, "%s: %s=%s: write on or off", option,
					 field->name, value);
		return 0;
	}
	return error_set(err, -EINVAL, "%s: unknown type", option);
}

/* Copy the next comma-separated part, without quotes; *text moves behind it. */
static int option_next_part(const char *option, const char **text, char *part, struct error *err)
{
	bool quoted = false;
	size_t length = 0;

	for (; **text && (quoted || **text != ','); (*text)++) {
		if (**text == '"') {
			quoted = !quoted;
			continue;
		}
		if (length + 1 >= MAX_VALUE_BYTES)
			return error_set(err, -EINVAL, "%s: a value is longer than %d bytes",
					 option, MAX_VALUE_BYTES - 1);
		part[length++] = **text;
	}
	part[length] = '\0';
	if (quoted)
		return error_set(err, -EINVAL, "%s: a quote is not closed", option);
	if (**text == ',')
		(*text)++;
	return 0;
}

static const struct option_field *option_find_field(const struct option_field *fields, size_t count,
						    const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int option_unknown_key(const char *option, const char *key,
			      const struct option_field *fields, size_t count, struct error *err)
{
	char known[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(fields[i].name);

		if (used + length + 3 > sizeof(known))
			break;
		if (used) {
			known[used++] = ',';
			known[used++] = ' ';
		}
		memcpy(known + used, fields[i].name, length + 1);
		used += length;
	}
	return error_set(err, -EINVAL, "%s: unknown key \"%s\"; known are: %s", option, key, known);
}

int option_string_parse(const char *option, const char *text, const struct option_field *fields,
			size_t field_count, struct error *err)
{
	char part[MAX_VALUE_BYTES];
	uint64_t seen = 0;

	if (!*text)
		return error_set(err, -EINVAL, "%s needs a value", option);
	while (*text) {
		const struct option_field *field;
		char *equals;

		if (option_next_part(option, &text, part, err) < 0)
			return err->code;
		equals = strchr(part, '=');
		if (!equals)
			return error_set(err, -EINVAL, "%s: \"%s\" is not of the form key=value",
					 option, part);
		*equals = '\0';
		field = option_find_field(fields, field_count, part);
		if (!field)
			return option_unknown_key(option, part, fields, field_count, err);
		if (seen & (1ULL << (field - fields)))
			return error_set(err, -EINVAL, "%s: %s is given twice", option, part);
		seen |= 1ULL << (field - fields);
		if (option_set_field(option, field, equals + 1, err) < 0)
			return err->code;
	}
	return 0;
}
