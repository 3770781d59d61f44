/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/json_text.h"

#include <stdbool.h>

/*
 * The parser calls itself for every level, and allows thousands of them. Brackets are counted here
 * first; in strings they do not count.
 */
static bool depth_is_bounded(const char *text, size_t bytes)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < bytes; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if ((text[i] == '{' || text[i] == '[') && ++depth > JSON_TEXT_MAX_DEPTH)
			return false;
		else if ((text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
	}
	return true;
}

json_t *json_text_parse(const char *text, size_t bytes, struct json_errors *errors)
{
	json_error_t error;
	json_t *value;

	if (!depth_is_bounded(text, bytes)) {
		json_errors_add(errors, "", "JSON: more than %d levels of nesting",
				JSON_TEXT_MAX_DEPTH);
		return NULL;
	}
	value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!value)
		json_errors_add(errors, "", "JSON: line %d, column %d: %s", error.line,
				error.column, error.text);
	return value;
}
