/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ctl/directory_url.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *append_escaped(char *to, const char *path)
{
	for (; *path; path++) {
		unsigned char byte = (unsigned char)*path;

		if (isalnum(byte) || strchr("/-_.~+,=:@", byte))
			*to++ = (char)byte;
		else
			to += sprintf(to, "%%%02X", byte);
	}
	*to = '\0';
	return to;
}

char *directory_url(const char *text)
{
	static const char scheme[] = "file://";
	char here[PATH_MAX] = "";
	char *url, *end;

	if (strncmp(text, "file:", 5) == 0)
		return strdup(text);
	if (text[0] != '/' && !getcwd(here, sizeof(here)))
		return NULL;
	url = malloc(sizeof(scheme) + 3 * (strlen(here) + 1 + strlen(text)));
	if (!url)
		return NULL;
	memcpy(url, scheme, sizeof(scheme));
	end = url + sizeof(scheme) - 1;
	if (here[0]) {
		end = append_escaped(end, here);
		*end++ = '/';
	}
	(void)append_escaped(end, text);
	return url;
}
