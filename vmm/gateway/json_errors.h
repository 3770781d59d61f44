/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a request's text: messages that name the field, as the API returns them. */
#ifndef BULKHEAD_VMM_GATEWAY_JSON_ERRORS_H
#define BULKHEAD_VMM_GATEWAY_JSON_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_ERRORS_MAX		 16
#define JSON_ERRORS_MESSAGE_SIZE 256

struct json_errors {
	unsigned count; /* also of those that had no room */
	char messages[JSON_ERRORS_MAX][JSON_ERRORS_MESSAGE_SIZE];
};

/* "path: text"; the text alone when path is empty. */
void json_errors_add(struct json_errors *errors, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The messages as a JSON array of strings (malloc). NULL: out of memory. */
char *json_errors_text(const struct json_errors *errors);

/* All of them in one line, for those that have room for one: at most size - 1 bytes. */
void json_errors_join(const struct json_errors *errors, char *text, size_t size);

#endif
