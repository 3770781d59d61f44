/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/qmp_document.h"

#include <stdbool.h>

static bool is_blank(char character)
{
	return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

size_t qmp_document_length(const char *data, size_t bytes, int *blank)
{
	bool in_string = false;
	size_t depth = 0;

	*blank = 1;
	for (size_t i = 0; i < bytes; i++) {
		if (data[i] == '\n')
			return i + 1;
		if (!is_blank(data[i]))
			*blank = 0;
		if (in_string && data[i] == '\\' && i + 1 < bytes && data[i + 1] != '\n')
			i++;
		else if (data[i] == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (data[i] == '{' || data[i] == '[')
			depth++;
		else if ((data[i] == '}' || data[i] == ']') && depth > 0 && --depth == 0)
			return i + 1;
	}
	return 0;
}
