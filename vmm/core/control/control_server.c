/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/control_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/cleanup.h"
#include "vmm/core/control/control_notify.h"
#include "vmm/core/control/control_parts.h"

#define STOP_MS 1000

static void control_free(struct control *control)
{
	for (unsigned i = 0; i < control->socket_count; i++)
		fd_close(&control->sockets[i].fd);
	fd_close(&control->options.event_monitor_fd);
	fd_close(&control->options.notify_fd);
	free(control->rows);
	free(control);
}

/* ---- sockets ---- */

static void resource_id(char id[32], unsigned index)
{
	(void)snprintf(id, 32, "control:%u", index);
}

static int sockets_declare(const struct control *control, struct error *err)
{
	const struct control_settings *settings = control->options.settings;
	Bulkhead__Broker__Declare declare = BULKHEAD__BROKER__DECLARE__INIT;
	Bulkhead__Broker__Resource resources[CONTROL_MAX_SOCKETS];
	Bulkhead__Broker__Resource *pointers[CONTROL_MAX_SOCKETS];
	char ids[CONTROL_MAX_SOCKETS][32];
	char paths[CONTROL_MAX_SOCKETS][sizeof(settings->sockets[0].path)];

	for (unsigned i = 0; i < settings->socket_count; i++) {
		Bulkhead__Broker__Resource *resource = &resources[declare.n_resources];

		if (!settings->sockets[i].path[0])
			continue;
		resource_id(ids[i], i);
		memcpy(paths[i], settings->sockets[i].path, sizeof(paths[i]));
		bulkhead__broker__resource__init(resource);
		resource->id = ids[i];
		resource->kind = BULKHEAD__BROKER__RESOURCE_KIND__RESOURCE_LISTEN_SOCKET;
		resource->path = paths[i];
		pointers[declare.n_resources++] = resource;
	}
	declare.resources = pointers;
	return declare.n_resources ? broker_declare(control->options.broker, &declare, err) : 0;
}

/* A socket that somebody else made: listening it must be, waiting it must not. */
static int socket_check_given(int fd, struct error *err)
{
	int listening = 0;
	socklen_t length = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0)
		return error_set_errno(err, -errno, "control socket fd=%d", fd);
	if (!listening)
		return error_set(err, -EINVAL, "control socket fd=%d is not listening", fd);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set_errno(err, -errno, "control socket fd=%d", fd);
	return 0;
}

static int socket_open(struct control *control, unsigned index, struct error *err)
{
	const struct control_socket_setting *setting = &control->options.settings->sockets[index];
	struct control_socket *socket = &control->sockets[index];
	char id[32];

	*socket = (struct control_socket){.role = setting->role,
					  .fd = setting->fd,
					  .qmp_no_negotiation = setting->qmp_no_negotiation};
	control->socket_count++;
	if (!setting->path[0]) {
		control->has_given_socket = true;
		return socket_check_given(socket->fd, err);
	}
	resource_id(id, index);
	return broker_open(control->options.broker, id, NULL, 0, &socket->fd, err);
}

/* ---- the beginning ---- */

static int control_init(struct control *control, struct error *err)
{
	const struct control_settings *settings = control->options.settings;

	if (control_gateway_make_rows(control, err) < 0 || sockets_declare(control, err) < 0)
		return err->code;
	for (unsigned i = 0; i < settings->socket_count; i++)
		if (socket_open(control, i, err) < 0)
			return err->code;
	return 0;
}

struct control *control_new(const struct control_options *options, bool needs_gateway,
			    struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control) {
		error_set(err, -ENOMEM, "out of memory");
		close(options->event_monitor_fd);
		close(options->notify_fd);
		return NULL;
	}
	control->options = *options;
	control->client_log = (struct log_ratelimit)LOG_RATELIMIT_INIT;
	(void)snprintf(control->vm_name, sizeof(control->vm_name), "%s", options->vm_name);
	if (control_init(control, err) < 0) {
		control_free(control);
		return NULL;
	}
	control->options.settings = NULL;
	uv_timer_init(options->loop, &control->restart_timer);
	uv_timer_init(options->loop, &control->heartbeat_timer);
	uv_timer_init(options->loop, &control->stop_timer);
	control->restart_timer.data = control->heartbeat_timer.data = control->stop_timer.data =
		control;
	if (control->socket_count || needs_gateway)
		control_gateway_start(control);
	return control;
}

void control_ready(struct control *control)
{
	if (!control || control->ready_told)
		return;
	control->ready_told = true;
	control_notify_send(control->options.notify_fd, "READY=1");
}

void control_starting(struct control *control)
{
	control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER, "vmm", "starting", NULL);
}

/* ---- the end ---- */

static void control_on_timer_closed(uv_handle_t *handle)
{
	struct control *control = handle->data;
	void (*stopped)(void *) = control->on_stopped;
	void *opaque = control->stopped_opaque;

	if (--control->open_handles)
		return;
	control_free(control);
	stopped(opaque);
}

void control_finish_stop(struct control *control)
{
	if (control->stopped)
		return;
	control->stopped = true;
	control_call_orphan_all(control);
	control->open_handles = 3;
	uv_close((uv_handle_t *)&control->restart_timer, control_on_timer_closed);
	uv_close((uv_handle_t *)&control->heartbeat_timer, control_on_timer_closed);
	uv_close((uv_handle_t *)&control->stop_timer, control_on_timer_closed);
}

static void control_end_gateway(struct control *control)
{
	uv_timer_stop(&control->stop_timer);
	if (control->gateway)
		control_gateway_end(control->gateway);
	else
		control_finish_stop(control);
}

static void control_on_stop_timer(uv_timer_t *timer)
{
	control_end_gateway(timer->data);
}

static void control_on_drained(void *opaque, struct channel_message *message,
			       const struct error *err)
{
	struct control *control = opaque;

	(void)message;
	(void)err;
	/* Not from within the channel's own callback. */
	if (!control->stopped)
		uv_timer_start(&control->stop_timer, control_on_stop_timer, 0, 0);
}

void control_stop(struct control *control, void (*stopped)(void *opaque), void *opaque)
{
	bool tells_shutdown = control->vmm_shutdown_asked && !control->vm_shutdown_told;

	control->on_stopped = stopped;
	control->stopped_opaque = opaque;
	control_notify_send(control->options.notify_fd, "STOPPING=1");
	if (tells_shutdown)
		control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_SHUTDOWN, "vmm",
			      "shutdown", "guest", "false", "reason", "host-qmp-quit", NULL);
	else
		control_event(control, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER, "vmm",
			      "shutdown", NULL);
	control->stopping = true;
	uv_timer_stop(&control->restart_timer);
	uv_timer_stop(&control->heartbeat_timer);
	uv_timer_start(&control->stop_timer, control_on_stop_timer, STOP_MS, 0);
	if (!control->gateway || control->gateway->closing ||
	    channel_request(control->gateway->channel, CONTROL_MESSAGE(DRAIN), NULL, NULL, 0,
			    STOP_MS, control_on_drained, control, NULL) < 0)
		uv_timer_start(&control->stop_timer, control_on_stop_timer, 0, 0);
	control_gateway_update(control);
}
