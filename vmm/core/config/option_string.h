/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of command-line options in Cloud Hypervisor's grammar:
 * `path=/a.img,readonly=on,size=4G`. A value in double quotes may hold commas.
 */
#ifndef BULKHEAD_VMM_CORE_CONFIG_OPTION_STRING_H
#define BULKHEAD_VMM_CORE_CONFIG_OPTION_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

enum option_type {
	OPTION_STRING, /* target: char **, a protobuf string: replaced by a malloc'ed copy */
	OPTION_SIZE,   /* target: uint64_t *, bytes: 4096, 512K, 512M, 4G, 1T */
	OPTION_COUNT,  /* target: uint32_t * */
	OPTION_SWITCH, /* target: bool (protobuf_c_boolean) *: on, off, true, false */
};

struct option_field {
	const char *name;
	enum option_type type;
	void *target;
};

/*
 * Parse text into fields. err names the option, the key and what is wrong: unknown key, a key given
 * twice, a missing '=', a value that does not fit its type, a size or count of zero. Fields that
 * text does not name stay as they are.
 */
int option_string_parse(const char *option, const char *text, const struct option_field *fields,
			size_t field_count, struct error *err);

/* "512M" to bytes; -EINVAL for anything else than a number with one of the suffixes K, M, G, T. */
int option_parse_size(const char *text, uint64_t *bytes);

/* A decimal number without sign, at most maximum. */
int option_parse_count(const char *text, uint64_t maximum, uint64_t *value);

/* Replace a protobuf string by a copy of text (length_bytes long). -ENOMEM. */
int option_set_string(char **target, const char *text, size_t length_bytes);

/* Free a protobuf string; accepts the empty default and NULL. */
void option_free_string(char *text);

#endif
