/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/snapshot/inspect_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_CODE_POINT	0x10ffffU
#define SURROGATE_FIRST 0xd800U
#define SURROGATE_LAST	0xdfffU

/* Length of the UTF-8 sequence at bytes and its code point; 0: it is not one (RFC 3629). */
static size_t utf8_decode(const uint8_t *bytes, uint32_t *code_point)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = bytes[0] < 0x80		    ? 1
			: (bytes[0] & 0xe0) == 0xc0 ? 2
			: (bytes[0] & 0xf0) == 0xe0 ? 3
			: (bytes[0] & 0xf8) == 0xf0 ? 4
						    : 0;

	if (!length)
		return 0;
	*code_point = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80) /* stops at the end of the string, too */
			return 0;
		*code_point = *code_point << 6 | (bytes[i] & 0x3f);
	}
	if (*code_point < smallest[length] || *code_point > MAX_CODE_POINT ||
	    (*code_point >= SURROGATE_FIRST && *code_point <= SURROGATE_LAST))
		return 0;
	return length;
}

static bool is_control(uint32_t code_point)
{
	return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
}

void inspect_print_text(FILE *stream, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	while (*at) {
		uint32_t code_point = 0;
		size_t length = utf8_decode(at, &code_point);

		if (length && !is_control(code_point))
			(void)fwrite(at, 1, length, stream);
		else
			(void)fprintf(stream, "\\x%02x", *at);
		at += length && !is_control(code_point) ? length : 1;
	}
}

void inspect_print_json_string(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	putchar('"');
	while (*at) {
		uint32_t code_point = 0;
		size_t length = utf8_decode(at, &code_point);

		if (!length)
			printf("\\ufffd");
		else if (is_control(code_point))
			printf("\\u%04x", code_point);
		else if (code_point == '"' || code_point == '\\')
			printf("\\%c", *at);
		else
			(void)fwrite(at, 1, length, stdout);
		at += length ? length : 1;
	}
	putchar('"');
}
