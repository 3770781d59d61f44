/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipc/log_format.h"
#include "vmm/ctl/ctl.h"
#include "vmm/ctl/http_client.h"

void ctl_complain(const char *format, ...)
{
	char text[1024], escaped[2048];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	(void)log_escape(escaped, sizeof(escaped), text, false);
	(void)fprintf(stderr, "bulkheadctl: %s\n", escaped);
}

void ctl_print_text(const char *text)
{
	char escaped[8192];

	(void)log_escape(escaped, sizeof(escaped), text ? text : "", false);
	(void)fputs(escaped, stdout);
}

enum ctl_exit ctl_print_json(json_t *value)
{
	int result = json_dumpf(value, stdout, JSON_INDENT(2));

	json_decref(value);
	return result < 0 || puts("") == EOF ? CTL_EXIT_FAILED : CTL_EXIT_OK;
}

static enum ctl_exit exit_of_status(unsigned status)
{
	switch (status) {
	case 200:
	case 204:
		return CTL_EXIT_OK;
	case 400:
	case 413:
		return CTL_EXIT_USAGE;
	case 404:
	case 405:
	case 409:
	case 429:
		return CTL_EXIT_STATE;
	case 408:
		return CTL_EXIT_TIMEOUT;
	default:
		return CTL_EXIT_FAILED;
	}
}

enum ctl_exit ctl_take_answer(unsigned status, const char *body, json_t **reply)
{
	json_t *value = body ? json_loads(body, JSON_DECODE_ANY, NULL) : NULL;
	enum ctl_exit result = exit_of_status(status);
	size_t index;
	json_t *message;

	*reply = NULL;
	if (result == CTL_EXIT_OK) {
		*reply = value;
		return result;
	}
	json_array_foreach(value, index, message)
	{
		ctl_complain("%s", json_is_string(message) ? json_string_value(message) : "error");
	}
	if (!json_array_size(value))
		ctl_complain("the VMM answers with status %u", status);
	json_decref(value);
	return result;
}

static enum ctl_exit exit_of_error(const struct error *err)
{
	ctl_complain("%s", err->message);
	switch (err->code) {
	case -ECONNREFUSED:
	case -ENOENT:
	case -EACCES:
	case -EPERM:
	case -ENOTSOCK:
	case -ENAMETOOLONG:
	case -EAGAIN:
		return CTL_EXIT_NO_VMM;
	default:
		return CTL_EXIT_FAILED;
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum ctl_exit wait_for_answer(struct http_client *client, int timeout_ms, json_t **reply)
{
	int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
	struct error err = ERROR_INIT;
	int result = 0;

	while (result == 0) {
		int64_t left_ms = deadline_ms - now_ms();

		if (left_ms <= 0) {
			ctl_complain("no answer in time");
			return CTL_EXIT_TIMEOUT;
		}
		result = http_client_poll(client, left_ms < 60000 ? (int)left_ms : 60000, &err);
	}
	if (result < 0)
		return exit_of_error(&err);
	return ctl_take_answer(client->response.status, client->response.body, reply);
}

enum ctl_exit ctl_request(const struct ctl *ctl, const char *method, const char *name,
			  const char *body, json_t **reply)
{
	struct http_client client = {.fd = -1};
	struct error err = ERROR_INIT;
	enum ctl_exit result;

	*reply = NULL;
	if (http_client_send(&client, ctl->socket_path, method, name, body, &err) < 0)
		result = exit_of_error(&err);
	else
		result = wait_for_answer(&client, ctl->timeout_ms, reply);
	http_client_close(&client);
	return result;
}
