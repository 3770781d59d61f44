/* SPDX-License-Identifier: Apache-2.0 */
#include "cmdline.h"

#include "string.h"

static char cmdline[1024];

void cmdline_set(const char *text)
{
	size_t length = 0;

	while (length < sizeof(cmdline) - 1 && text[length] != '\0') {
		cmdline[length] = text[length];
		length++;
	}
	cmdline[length] = '\0';
}

const char *cmdline_get(void)
{
	return cmdline;
}

/* Returns what follows "name" in its word ("=value", or an empty rest), or NULL. */
static const char *cmdline_find(const char *name)
{
	size_t length = strlen(name);
	const char *word = cmdline;

	while (*word != '\0') {
		if (string_starts_with(word, name) &&
		    (word[length] == '=' || word[length] == ' ' || word[length] == '\0')) {
			return word + length;
		}
		while (*word != '\0' && *word != ' ') {
			word++;
		}
		while (*word == ' ') {
			word++;
		}
	}
	return NULL;
}

bool cmdline_has(const char *name)
{
	return cmdline_find(name) != NULL;
}

static int cmdline_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return 99;
}

uint64_t cmdline_number(const char *name, uint64_t fallback)
{
	const char *text = cmdline_find(name);
	uint64_t value = 0;
	int base = 10;

	if (text == NULL || *text != '=') {
		return fallback;
	}
	text++;
	if (string_starts_with(text, "0x")) {
		base = 16;
		text += 2;
	}
	if (cmdline_digit(*text) >= base) {
		return fallback;
	}
	for (; cmdline_digit(*text) < base; text++) {
		value = value * (unsigned int)base + (unsigned int)cmdline_digit(*text);
	}
	return value;
}

bool cmdline_is(const char *name, const char *value)
{
	const char *text = cmdline_find(name);
	size_t length = strlen(value);

	return text != NULL && *text == '=' && string_starts_with(text + 1, value) &&
	       (text[1 + length] == ' ' || text[1 + length] == '\0');
}
