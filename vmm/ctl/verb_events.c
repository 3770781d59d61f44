/* SPDX-License-Identifier: Apache-2.0 */
/* events: lines of JSON as they come, until the VMM ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/ctl/ctl.h"
#include "vmm/ctl/http_client.h"

#define MAX_LINE 16384

struct follower {
	const struct ctl *ctl;
	char line[MAX_LINE];
	size_t used;
};

static void print_event(const json_t *event)
{
	const json_t *stamp = json_object_get(event, "timestamp");
	time_t seconds = (time_t)json_integer_value(json_object_get(stamp, "secs"));
	json_t *properties = json_object_get(event, "properties");
	const char *name;
	struct tm local;
	char text[32] = "";
	json_t *value;

	if (localtime_r(&seconds, &local))
		(void)strftime(text, sizeof(text), "%H:%M:%S", &local);
	printf("%s.%03d  %s %s", text,
	       (int)(json_integer_value(json_object_get(stamp, "nanos")) / 1000000),
	       json_string_value(json_object_get(event, "source")),
	       json_string_value(json_object_get(event, "event")));
	json_object_foreach(properties, name, value)
	{
		printf("  %s=", name);
		ctl_print_text(json_string_value(value));
	}
	(void)puts("");
}

static void follower_print(struct follower *follower)
{
	json_t *event = json_loads(follower->line, 0, NULL);

	if (follower->ctl->json)
		(void)puts(follower->line);
	else if (event)
		print_event(event);
	(void)fflush(stdout);
	json_decref(event);
}

static bool on_part(void *opaque, const char *data, size_t bytes)
{
	struct follower *follower = opaque;

	for (size_t i = 0; i < bytes; i++) {
		if (data[i] != '\n') {
			if (follower->used < MAX_LINE - 1)
				follower->line[follower->used++] = data[i];
			continue;
		}
		follower->line[follower->used] = '\0';
		follower->used = 0;
		follower_print(follower);
	}
	return !ferror(stdout);
}

enum ctl_exit ctl_run_events(const struct ctl *ctl, int count, char **arguments)
{
	struct follower follower = {.ctl = ctl};
	struct http_client client = {.fd = -1, .on_part = on_part, .opaque = &follower};
	struct error err = ERROR_INIT;
	int result = http_client_send(&client, ctl->socket_path, "GET", "vmm.events", NULL, &err);

	(void)count;
	(void)arguments;
	if (result < 0) {
		ctl_complain("%s", err.message);
		return CTL_EXIT_NO_VMM;
	}
	do {
		result = http_client_poll(&client, HTTP_CLIENT_NO_TIMEOUT, &err);
	} while (result == 0);
	http_client_close(&client);
	/* The VMM ends without a last word: that is the end that one waits for. */
	return result > 0 || err.code == -ECONNRESET ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}
