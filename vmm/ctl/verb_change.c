/* SPDX-License-Identifier: Apache-2.0 */
/* create, resize-disk, restore: requests with a body. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"
#include "vmm/ctl/ctl.h"
#include "vmm/ctl/directory_url.h"

#define MAX_FILE_BYTES 51200

/* Send a body; takes the reference. */
static enum ctl_exit send_body(const struct ctl *ctl, const char *name, json_t *body)
{
	cleanup_free char *text = json_dumps(body, JSON_COMPACT);
	enum ctl_exit result;
	json_t *reply;

	json_decref(body);
	if (!text) {
		ctl_complain("%s: what was given is not UTF-8", name);
		return CTL_EXIT_USAGE;
	}
	result = ctl_request(ctl, "PUT", name, text, &reply);
	json_decref(reply);
	return result;
}

enum ctl_exit ctl_run_create(const struct ctl *ctl, int count, char **arguments)
{
	bool from_input = strcmp(arguments[0], "-") == 0;
	cleanup_stream FILE *opened = from_input ? NULL : fopen(arguments[0], "re");
	FILE *file = from_input ? stdin : opened;
	char text[MAX_FILE_BYTES + 2];
	enum ctl_exit result;
	json_t *reply;
	size_t bytes;

	(void)count;
	if (!file) {
		ctl_complain("%s: %s", arguments[0], strerror(errno));
		return CTL_EXIT_USAGE;
	}
	bytes = fread(text, 1, sizeof(text) - 1, file);
	text[bytes] = '\0';
	if (ferror(file) || bytes > MAX_FILE_BYTES || strlen(text) != bytes) {
		ctl_complain("%s: %s", arguments[0],
			     ferror(file) ? strerror(errno)
					  : "longer than 51200 bytes, or not text");
		return CTL_EXIT_USAGE;
	}
	result = ctl_request(ctl, "PUT", "vm.create", text, &reply);
	json_decref(reply);
	return result;
}

/* 4096, 512K, 512M, 4G, 1T. */
static int parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	char *end;
	const char *suffix;
	unsigned shift = 0;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno || end == text || text[0] == '-')
		return -EINVAL;
	if (*end) {
		suffix = strchr(suffixes, *end);
		if (!suffix || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (*bytes > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*bytes <<= shift;
	return 0;
}

enum ctl_exit ctl_run_resize_disk(const struct ctl *ctl, int count, char **arguments)
{
	uint64_t bytes;

	(void)count;
	if (parse_size(arguments[1], &bytes) < 0) {
		ctl_complain("resize-disk: %s is not a size (4096, 512M, 4G)", arguments[1]);
		return CTL_EXIT_USAGE;
	}
	return send_body(
		ctl, "vm.resize-disk",
		json_pack("{s:s, s:I}", "id", arguments[0], "desired_size", (json_int_t)bytes));
}

/* One word behind the directory. False: it is none that is known. */
static bool restore_add_word(json_t *body, json_t *overrides, char *word)
{
	char *value = strchr(word, '=');

	if (value && value != word && value[1]) {
		(void)json_array_append_new(overrides,
					    json_pack("{s:s%, s:s}", "id", word,
						      (size_t)(value - word), "path", value + 1));
		return true;
	}
	if (strcmp(word, "ondemand") == 0) {
		(void)json_object_set_new(body, "memory_restore_mode", json_string("OnDemand"));
		return true;
	}
	if (strcmp(word, "resume") != 0 && strcmp(word, "prefault") != 0 &&
	    strcmp(word, "force") != 0)
		return false;
	(void)json_object_set_new(body, word, json_true());
	return true;
}

enum ctl_exit ctl_run_restore(const struct ctl *ctl, int count, char **arguments)
{
	cleanup_free char *url = directory_url(arguments[0]);
	json_t *body, *overrides;

	if (!url) {
		ctl_complain("restore: %s: no such directory", arguments[0]);
		return CTL_EXIT_USAGE;
	}
	body = json_pack("{s:s}", "source_url", url);
	overrides = json_array();
	for (int i = 1; i < count; i++) {
		if (restore_add_word(body, overrides, arguments[i]))
			continue;
		ctl_complain("restore: \"%s\" is not understood; see bulkheadctl restore --help",
			     arguments[i]);
		json_decref(body);
		json_decref(overrides);
		return CTL_EXIT_USAGE;
	}
	(void)json_object_set_new(body, "overrides", overrides);
	return send_body(ctl, "vm.restore", body);
}
