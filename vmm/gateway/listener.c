/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting: how many, of which kind, and what one too many is told. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/http_connection.h"
#include "vmm/gateway/qmp_connection.h"

static const unsigned client_limits[] = {
	[BULKHEAD__CONTROL__ROLE__ROLE_HTTP] = 64,
	[BULKHEAD__CONTROL__ROLE__ROLE_QMP] = 4,
	[BULKHEAD__CONTROL__ROLE__ROLE_METRICS] = 8,
};

/* The client that has been idle longest makes room for a new one. */
static bool listener_make_room(struct listener *listener)
{
	struct client *oldest = NULL;

	for (struct client *client = listener->gateway->clients; client; client = client->next)
		if (!client->ended && client->role == listener->role && client->ops->is_idle &&
		    client->ops->is_idle(client) &&
		    (!oldest || client->active_ms <= oldest->active_ms))
			oldest = client;
	if (!oldest)
		return false;
	client_end(oldest);
	return true;
}

/* There is no room: say so in the client's own language, if it takes it at once. */
static void listener_turn_away(const struct listener *listener, int fd)
{
	static const char http_full[] = "HTTP/1.1 503 Service Unavailable\r\n"
					"Content-Type: application/json\r\n"
					"Connection: close\r\n"
					"Retry-After: 1\r\n"
					"Content-Length: 24\r\n\r\n"
					"[\"too many connections\"]";
	struct iovec part = {.iov_base = (char *)http_full, .iov_len = sizeof(http_full) - 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (listener->role != BULKHEAD__CONTROL__ROLE__ROLE_QMP)
		(void)sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void listener_take(struct listener *listener, int fd)
{
	int result;

	if (listener->gateway->client_counts[listener->role] >= client_limits[listener->role] &&
	    !listener_make_room(listener)) {
		listener_turn_away(listener, fd);
		return;
	}
	if (listener->role == BULKHEAD__CONTROL__ROLE__ROLE_QMP)
		result = qmp_connection_begin(listener->gateway, fd, listener->qmp_no_negotiation);
	else
		result = http_connection_begin(listener->gateway, listener->role, fd);
	if (result < 0)
		log_warning("cannot take a client: out of memory");
}

static void listener_on_ready(void *opaque, uint32_t events)
{
	struct listener *listener = opaque;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0) {
		listener_take(listener, fd);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* No descriptors or no memory: the socket stays readable, so look away for a moment. */
	log_warning("cannot accept a client: error %d", errno);
	listener_set_accepting(listener, false);
	listener->gateway->paused_accepting = true;
	gateway_update_timer(listener->gateway);
}

int listener_open(struct listener *listener, struct gateway *gateway, int fd,
		  const Bulkhead__Control__Socket *socket)
{
	*listener = (struct listener){.gateway = gateway,
				      .fd = fd,
				      .role = socket->role,
				      .qmp_no_negotiation = socket->qmp_no_negotiation};
	if (socket->role < BULKHEAD__CONTROL__ROLE__ROLE_HTTP ||
	    socket->role > BULKHEAD__CONTROL__ROLE__ROLE_METRICS)
		goto fail;
	listener->watch = loop_watch_fd(gateway->loop, fd, EPOLLIN, listener_on_ready, listener);
	if (listener->watch)
		return 0;
fail:
	fd_close(&listener->fd);
	return -EINVAL;
}

void listener_close(struct listener *listener)
{
	loop_unwatch(listener->watch);
	listener->watch = NULL;
	fd_close(&listener->fd);
}

void listener_set_accepting(struct listener *listener, bool accepting)
{
	(void)loop_rewatch(listener->watch, accepting ? EPOLLIN : 0);
}
