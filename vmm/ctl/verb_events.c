/* SPDX-License-Identifier: Apache-2.0 */
/* events: lines of JSON as they come, until the VMM ends. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/ctl/ctl.h"
#include "vmm/ctl/http_client.h"

#define MAX_LINE 16384
#define RETRY_MS 50

struct follower {
	const struct ctl *ctl;
	char line[MAX_LINE];
	size_t used;
	bool left; /* nobody reads what we print */
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

/* Follow one connection to its end. CTL_EXIT_OK: it ended, or nobody reads what we print. */
static enum ctl_exit follow(struct follower *follower, struct http_client *client)
{
	struct error err = ERROR_INIT;
	enum ctl_exit result = CTL_EXIT_OK;
	json_t *reply = NULL;
	int progress;

	do
		progress = http_client_poll(client, HTTP_CLIENT_NO_TIMEOUT, &err);
	while (progress == 0);
	follower->left = client->left;
	if (client->response.status && client->response.status != 200) {
		result = ctl_take_answer(client->response.status, client->response.body, &reply);
		json_decref(reply);
	} else if (progress < 0 && err.code != -ECONNRESET && !client->left) {
		ctl_complain("%s", err.message);
		result = CTL_EXIT_FAILED;
	}
	return result;
}

/*
 * The VMM ends without a last word: that is the end that one waits for. But only its gateway may
 * have ended, which is followed by another: nobody serves the socket any more when the VMM is gone.
 */
enum ctl_exit ctl_run_events(const struct ctl *ctl, int count, char **arguments)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	struct follower follower = {.ctl = ctl};
	enum ctl_exit result = CTL_EXIT_OK;
	bool first = true;

	(void)count;
	(void)arguments;
	while (result == CTL_EXIT_OK && !follower.left) {
		struct http_client client = {.fd = -1, .on_part = on_part, .opaque = &follower};
		struct error err = ERROR_INIT;

		follower.used = 0;
		if (http_client_send(&client, ctl->socket_path, "GET", "vmm.events", NULL, &err) <
		    0) {
			http_client_close(&client);
			if (!first)
				return CTL_EXIT_OK;
			ctl_complain("%s", err.message);
			return CTL_EXIT_NO_VMM;
		}
		result = follow(&follower, &client);
		http_client_close(&client);
		first = false;
		(void)nanosleep(&pause, NULL);
	}
	return ferror(stdout) ? CTL_EXIT_FAILED : result;
}
