/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/json_errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* A message that was cut must still be UTF-8: no half character at the end. */
static void cut_at_character(char *text)
{
	size_t length = strlen(text);
	size_t start = length;

	while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && (unsigned char)text[start - 1] >= 0xc0)
		text[start - 1] = '\0';
}

void json_errors_add(struct json_errors *errors, const char *path, const char *format, ...)
{
	char *message;
	va_list arguments;
	int used;

	if (errors->count++ >= JSON_ERRORS_MAX)
		return;
	message = errors->messages[errors->count - 1];
	used = snprintf(message, JSON_ERRORS_MESSAGE_SIZE, "%s%s", path, path[0] ? ": " : "");
	if (used >= 0 && used < JSON_ERRORS_MESSAGE_SIZE) {
		va_start(arguments, format);
		used += vsnprintf(message + used, JSON_ERRORS_MESSAGE_SIZE - (size_t)used, format,
				  arguments);
		va_end(arguments);
	}
	if (used >= JSON_ERRORS_MESSAGE_SIZE)
		cut_at_character(message);
}

static unsigned errors_kept(const struct json_errors *errors)
{
	return errors->count < JSON_ERRORS_MAX ? errors->count : JSON_ERRORS_MAX;
}

/* An operator's path may be any bytes; the answer is UTF-8. */
static json_t *message_string(const char *message)
{
	char plain[JSON_ERRORS_MESSAGE_SIZE];
	json_t *string = json_string(message);

	if (string)
		return string;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (char)((unsigned char)message[i] < 0x80 ? message[i] : '?');
	return json_string(plain);
}

char *json_errors_text(const struct json_errors *errors)
{
	json_t *array = json_array();
	char *text;

	for (unsigned i = 0; i < errors_kept(errors); i++)
		(void)json_array_append_new(array, message_string(errors->messages[i]));
	text = json_dumps(array, JSON_COMPACT);
	json_decref(array);
	return text;
}

void json_errors_join(const struct json_errors *errors, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < errors_kept(errors) && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "; " : "",
					 errors->messages[i]);
}
