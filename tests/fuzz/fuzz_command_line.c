/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: each input is a list of arguments, separated by zero bytes or newlines. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/config/command_line.h"
#include "vmm/core/config/overrides.h"
#include "vmm/core/config/vm_config.h"

#define MAX_ARGUMENTS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --help and --version print: nothing to find there, and much output. */
static int is_answer(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "--version") == 0 ||
	       strcmp(argument, "-V") == 0;
}

static int split(char *text, size_t size, char **arguments)
{
	static char program[] = "bulkhead";
	int count = 0;
	char *start = text;

	arguments[count++] = program;
	for (size_t i = 0; i <= size && count < MAX_ARGUMENTS - 1; i++) {
		if (i < size && text[i] != '\0' && text[i] != '\n')
			continue;
		text[i] = '\0';
		if (!is_answer(start))
			arguments[count++] = start;
		start = text + i + 1;
	}
	arguments[count] = NULL;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *arguments[MAX_ARGUMENTS];
	char *text = malloc(size + 1);
	struct command_line line;
	struct error err = ERROR_INIT;
	Bulkhead__Config__Vm *snapshot;

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (command_line_parse(split(text, size, arguments), arguments, &line, &err) < 0 &&
	    !err.message[0])
		abort(); /* refused without a reason */
	/* What was given as overrides of a restore must fit or be refused as well. */
	snapshot = vm_config_new();
	if (snapshot && line.config && line.restore.source_url[0] &&
	    vm_config_complete(snapshot, &err) == 0)
		(void)vm_config_apply_overrides(snapshot, line.config, &err);
	vm_config_free(snapshot);
	command_line_destroy(&line);
	free(text);
	return 0;
}
