/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot: one request that takes its time, and a bar that says how far it is. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "vmm/ctl/ctl.h"
#include "vmm/ctl/directory_url.h"
#include "vmm/ctl/http_client.h"

#define BAR_WIDTH   40
#define INTERVAL_MS 100

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

static int64_t number_at(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void draw_bar(const json_t *progress)
{
	int64_t total = number_at(progress, "total_bytes");
	int64_t done = number_at(progress, "done_bytes");
	const char *phase = json_string_value(json_object_get(progress, "phase"));
	int filled = total > 0 ? (int)(done * BAR_WIDTH / total) : 0;
	char bar[BAR_WIDTH + 1];

	if (filled > BAR_WIDTH)
		filled = BAR_WIDTH;
	memset(bar, '#', (size_t)filled);
	memset(bar + filled, '.', (size_t)(BAR_WIDTH - filled));
	bar[BAR_WIDTH] = '\0';
	(void)fprintf(stderr, "\r[%s] %3d%%  %" PRId64 "/%" PRId64 " MiB  %-12.12s", bar,
		      total > 0 ? (int)(done * 100 / total) : 0, done >> 20, total >> 20,
		      phase ? phase : "");
}

/* A question beside the request that runs; what goes wrong with it is of no interest. */
static void show_progress(const struct ctl *ctl)
{
	struct http_client client = {.fd = -1};
	struct error err = ERROR_INIT;
	json_t *progress = NULL;

	if (http_client_send(&client, ctl->socket_path, "GET", "vm.snapshot-progress", NULL,
			     &err) == 0 &&
	    http_client_poll(&client, 1000, &err) > 0 && client.response.status == 200)
		progress = json_loads(client.response.body, 0, NULL);
	if (progress)
		draw_bar(progress);
	json_decref(progress);
	http_client_close(&client);
}

static void cancel(const struct ctl *ctl)
{
	json_t *reply;

	interrupted = 0;
	(void)ctl_request(ctl, "PUT", "vm.snapshot-cancel", NULL, &reply);
	json_decref(reply);
}

static enum ctl_exit wait_with_bar(const struct ctl *ctl, struct http_client *client, bool bar)
{
	struct error err = ERROR_INIT;
	enum ctl_exit result;
	json_t *reply;
	int state;

	while ((state = http_client_poll(client, INTERVAL_MS, &err)) == 0) {
		if (interrupted)
			cancel(ctl);
		if (bar)
			show_progress(ctl);
	}
	if (bar) {
		show_progress(ctl);
		(void)fputs("\n", stderr);
	}
	if (state < 0) {
		ctl_complain("%s", err.message);
		return CTL_EXIT_FAILED;
	}
	result = ctl_take_answer(client->response.status, client->response.body, &reply);
	json_decref(reply);
	return result;
}

enum ctl_exit ctl_run_snapshot(const struct ctl *ctl, int count, char **arguments)
{
	cleanup_free char *url = directory_url(arguments[0]);
	json_t *body = json_pack("{s:s}", "destination_url", url ? url : "");
	cleanup_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct sigaction action = {.sa_handler = on_interrupt};
	struct http_client client = {.fd = -1};
	struct error err = ERROR_INIT;
	enum ctl_exit result;

	(void)count;
	json_decref(body);
	if (!url || !text) {
		ctl_complain("snapshot: %s: not a directory's name", arguments[0]);
		return CTL_EXIT_USAGE;
	}
	if (http_client_send(&client, ctl->socket_path, "PUT", "vm.snapshot", text, &err) < 0) {
		ctl_complain("%s", err.message);
		http_client_close(&client);
		return CTL_EXIT_NO_VMM;
	}
	(void)sigaction(SIGINT, &action, NULL);
	result = wait_with_bar(ctl, &client, isatty(STDERR_FILENO) && !ctl->json);
	http_client_close(&client);
	return result;
}

enum ctl_exit ctl_run_progress(const struct ctl *ctl, int count, char **arguments)
{
	json_t *reply;
	enum ctl_exit result = ctl_request(ctl, "GET", "vm.snapshot-progress", NULL, &reply);
	const char *problem;

	(void)count;
	(void)arguments;
	if (result != CTL_EXIT_OK)
		return result;
	if (ctl->json)
		return ctl_print_json(reply);
	problem = json_string_value(json_object_get(reply, "error"));
	printf("%s  %" PRId64 "/%" PRId64 " bytes  ",
	       json_string_value(json_object_get(reply, "status")), number_at(reply, "done_bytes"),
	       number_at(reply, "total_bytes"));
	ctl_print_text(problem);
	(void)puts("");
	json_decref(reply);
	return CTL_EXIT_OK;
}
