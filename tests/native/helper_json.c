/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "tests/native/helper.h"

static int line_check(const char *line, int field_count, char **fields)
{
	json_t *object = json_loads(line, 0, NULL);
	int bad = !json_is_object(object);

	for (int i = 0; i < field_count && !bad; i++)
		bad = !json_is_string(json_object_get(object, fields[i]));
	json_decref(object);
	return bad;
}

int helper_json(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	int lines = 0, bad = 0;

	while (!bad && getline(&line, &size, stdin) > 0) {
		lines++;
		bad = line_check(line, argc, argv);
		if (bad)
			(void)fprintf(stderr, "line %d: %s", lines, line);
	}
	free(line);
	return bad || lines == 0;
}
