/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/http_connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "vmm/gateway/api_write.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/http_request.h"
#include "vmm/gateway/http_response.h"
#include "vmm/gateway/http_routes.h"
#include "vmm/gateway/json_text.h"

/* How long a client may take. A connection that has been used may rest for as long as it wants,
 * until its place is needed. */
#define FIRST_BYTE_MS 60000
#define HEAD_MS	      10000
#define REQUEST_MS    30000
#define WRITE_MS      30000
#define LINGER_MS     2000

enum http_state {
	HTTP_READING,	/* a request is being read, or waited for */
	HTTP_WAITING,	/* it is complete, the core cannot take a call yet */
	HTTP_RUNNING,	/* the core works on it */
	HTTP_STREAMING, /* events go out until the client leaves */
	HTTP_LINGERING, /* the last answer is out: input is thrown away until the client ends it */
};

struct http_connection {
	struct client client; /* first */
	enum http_state state;
	struct http_request request;
	bool used;	     /* has had an answer */
	bool continue_sent;  /* to this request */
	uint64_t request_ms; /* when this request began */
	const struct http_route *route;
	ProtobufCMessage *message; /* of the request, until the core has it */
	struct core_call *call;
};

static struct http_connection *connection_of(struct client *client)
{
	return (struct http_connection *)client;
}

static void connection_next_request(struct http_connection *connection)
{
	if (connection->message)
		protobuf_c_message_free_unpacked(connection->message, NULL);
	connection->message = NULL;
	http_request_clear(&connection->request);
	http_request_init(&connection->request);
	connection->continue_sent = false;
	connection->state = HTTP_READING;
}

/* No further request is read. The client sees our end, and has a moment to see the answer. */
static void connection_linger(struct http_connection *connection)
{
	connection->state = HTTP_LINGERING;
	client_set_deadline(&connection->client, channel_now_ms() + LINGER_MS);
	stream_end_output(&connection->client.stream);
	stream_set_reading(&connection->client.stream, true);
}

/* An answer is out. */
static void connection_answered(struct http_connection *connection, bool keep_alive)
{
	connection->used = true;
	connection_next_request(connection);
	if (!keep_alive)
		connection_linger(connection);
}

static void connection_fail(struct http_connection *connection, unsigned status,
			    const struct json_errors *errors, bool keep_alive, const char *extra)
{
	http_respond_errors(&connection->client.stream, status, errors, keep_alive, extra);
	connection_answered(connection, keep_alive);
}

static void connection_fail_text(struct http_connection *connection, unsigned status,
				 const char *text, bool keep_alive, const char *extra)
{
	struct json_errors errors = {0};

	json_errors_add(&errors, "", "%s", text);
	connection_fail(connection, status, &errors, keep_alive, extra);
}

/* ---- a complete request ---- */

static void connection_reply(struct http_connection *connection, const ProtobufCMessage *reply)
{
	const struct http_route *route = connection->route;
	bool keep_alive = connection->request.keep_alive;
	char *text = route->write ? route->write(reply) : NULL;

	if (route->write && !text) {
		connection_fail_text(connection, 500, "out of memory", keep_alive, "");
		return;
	}
	http_respond(&connection->client.stream, text ? 200 : 204, route->content_type, text,
		     text ? strlen(text) : 0, keep_alive, "");
	free(text);
	connection_answered(connection, keep_alive);
}

static void connection_advance(struct client *client);

static void connection_on_reply(void *owner, const ProtobufCMessage *reply, const struct error *err)
{
	struct http_connection *connection = owner;

	connection->call = NULL;
	if (err && err->code == -ENODEV && connection->route->writes_without_vm)
		connection_reply(connection, NULL);
	else if (err)
		connection_fail_text(connection, http_status_of(err->code), err->message,
				     connection->request.keep_alive, "");
	else
		connection_reply(connection, reply);
	connection_advance(&connection->client);
}

/*
 * Descriptors belong to the request in whose bytes they came. When bytes of a later request are
 * here too, they came with those: the kernel ends a read behind the bytes that carried some.
 */
static bool connection_owns_fds(const struct http_connection *connection)
{
	return !buffer_bytes(&connection->client.stream.input);
}

static void connection_call(struct http_connection *connection)
{
	const struct http_route *route = connection->route;
	struct client *client = &connection->client;
	struct stream *stream = &client->stream;
	unsigned fd_count = connection_owns_fds(connection) ? stream->fd_count : 0;
	struct error err = ERROR_INIT;
	int result =
		core_link_call(client->gateway, route->message, connection->message, stream->fds,
			       fd_count, route->is_long ? CORE_CALL_LONG_MS : CORE_CALL_SHORT_MS,
			       connection_on_reply, connection, &connection->call, &err);

	connection->state = result == -EBUSY ? HTTP_WAITING : HTTP_RUNNING;
	if (result == 0 && fd_count)
		stream_drop_fds(stream);
	if (result < 0 && result != -EBUSY)
		connection_fail_text(connection, http_status_of(result), err.message,
				     connection->request.keep_alive, "");
}

/* The body to the message. False: answered already. */
static bool connection_read_body(struct http_connection *connection)
{
	const struct buffer *body = &connection->request.body;
	const struct http_route *route = connection->route;
	bool keep_alive = connection->request.keep_alive;
	struct json_errors errors = {0};
	json_t *value = NULL;

	if (!route->read && buffer_bytes(body))
		json_errors_add(&errors, http_route_name(route), "takes no body");
	if (route->read && !buffer_bytes(body))
		json_errors_add(&errors, http_route_name(route), "needs a body");
	if (route->read && buffer_bytes(body))
		value = json_text_parse(buffer_first(body), buffer_bytes(body), &errors);
	if (value)
		connection->message = route->read(value, &errors);
	json_decref(value);
	if (errors.count)
		connection_fail(connection, 400, &errors, keep_alive, "");
	return errors.count == 0;
}

static bool connection_check_fds(struct http_connection *connection)
{
	struct stream *stream = &connection->client.stream;
	bool keep_alive = connection->request.keep_alive;
	char text[128];

	if (!connection_owns_fds(connection))
		return true;
	if (!stream->fds_lost && stream->fd_count <= connection->route->max_fds)
		return true;
	(void)snprintf(text, sizeof(text), "%s: takes at most %u file descriptors",
		       http_route_name(connection->route), connection->route->max_fds);
	stream_drop_fds(stream);
	connection_fail_text(connection, 400, text, keep_alive, "");
	return false;
}

static void connection_stream_events(struct http_connection *connection)
{
	http_respond_stream(&connection->client.stream, "application/x-ndjson");
	connection->state = HTTP_STREAMING;
	stream_set_reading(&connection->client.stream, true);
}

static void connection_run(struct http_connection *connection)
{
	const struct http_request *request = &connection->request;
	unsigned allow;
	char text[96];

	connection->route =
		http_route_find(connection->client.role, request->target, request->method, &allow);
	if (!connection->route) {
		connection_fail_text(connection, allow ? 405 : 404,
				     allow ? "this path takes another method" : "no such path",
				     request->keep_alive,
				     !allow		 ? ""
				     : allow == HTTP_GET ? "Allow: GET\r\n"
							 : "Allow: PUT\r\n");
		return;
	}
	if (!connection->route->message && !connection->route->streams_events) {
		(void)snprintf(text, sizeof(text), "%s: not supported by this version",
			       http_route_name(connection->route));
		connection_fail_text(connection, 501, text, request->keep_alive, "");
		return;
	}
	if (!connection_check_fds(connection) || !connection_read_body(connection))
		return;
	if (connection->route->streams_events)
		connection_stream_events(connection);
	else
		connection_call(connection);
}

/* ---- bytes ---- */

static void connection_send_continue(struct http_connection *connection)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!connection->request.head_complete || !connection->request.expects_continue ||
	    connection->continue_sent)
		return;
	connection->continue_sent = true;
	stream_write(&connection->client.stream, text, sizeof(text) - 1);
}

/* True when there may be more to do with what has arrived. */
static bool connection_feed(struct http_connection *connection)
{
	struct stream *stream = &connection->client.stream;
	struct http_request *request = &connection->request;
	enum http_progress progress;
	size_t used;

	if (!http_request_begun(request))
		connection->request_ms = channel_now_ms();
	progress = http_request_feed(request, buffer_first(&stream->input),
				     buffer_bytes(&stream->input), &used);
	buffer_consume(&stream->input, used);
	switch (progress) {
	case HTTP_PROGRESS_MORE:
		connection_send_continue(connection);
		return false;
	case HTTP_PROGRESS_COMPLETE:
		connection_run(connection);
		return true;
	default:
		connection_fail_text(connection, request->status, request->problem, false, "");
		return true;
	}
}

/* How long what is being waited for may take. */
static void connection_arm(struct http_connection *connection)
{
	const struct http_request *request = &connection->request;
	uint64_t deadline_ms = CLIENT_NO_DEADLINE;

	if (connection->state == HTTP_LINGERING)
		return;
	if (stream_has_output(&connection->client.stream))
		deadline_ms = channel_now_ms() + WRITE_MS;
	else if (connection->state != HTTP_READING)
		deadline_ms = CLIENT_NO_DEADLINE;
	else if (http_request_begun(request))
		deadline_ms =
			connection->request_ms + (request->head_complete ? REQUEST_MS : HEAD_MS);
	else if (!connection->used)
		deadline_ms = channel_now_ms() + FIRST_BYTE_MS;
	client_set_deadline(&connection->client, deadline_ms);
}

static void connection_discard_input(struct http_connection *connection)
{
	struct stream *stream = &connection->client.stream;

	buffer_free(&stream->input);
	stream_drop_fds(stream);
	if (stream->input_ended)
		client_end(&connection->client);
}

/* Nothing more will be read: end when everything is written. */
static bool connection_is_over(const struct http_connection *connection)
{
	const struct stream *stream = &connection->client.stream;

	return connection->state == HTTP_READING && stream->input_ended &&
	       !buffer_bytes(&stream->input) && !stream_has_output(stream);
}

static void connection_advance(struct client *client)
{
	struct http_connection *connection = connection_of(client);
	struct stream *stream = &client->stream;

	/* A client that does not read its answers gets no further ones made. */
	while (connection->state == HTTP_READING && buffer_bytes(&stream->input) &&
	       !stream_has_output(stream))
		if (!connection_feed(connection))
			break;
	if (connection->state == HTTP_LINGERING || connection->state == HTTP_STREAMING) {
		connection_discard_input(connection);
		if (client->ended)
			return;
	} else if (connection_is_over(connection)) {
		client_end(client);
		return;
	} else {
		stream_set_reading(stream, connection->state == HTTP_READING &&
						   !buffer_bytes(&stream->input));
	}
	connection_arm(connection);
}

/* ---- what happens to a client ---- */

static void connection_expired(struct client *client)
{
	struct http_connection *connection = connection_of(client);

	if (connection->state != HTTP_READING || stream_has_output(&client->stream)) {
		client_end(client);
		return;
	}
	connection_fail_text(connection, 408, "the request did not arrive in time", false, "");
	connection_arm(connection);
}

static void connection_retry(struct client *client)
{
	struct http_connection *connection = connection_of(client);

	if (connection->state != HTTP_WAITING)
		return;
	connection_call(connection);
	connection_advance(client);
}

static void connection_event(struct client *client, const Bulkhead__Control__Event *event)
{
	struct http_connection *connection = connection_of(client);
	cleanup_free char *text = NULL;
	cleanup_free char *line = NULL;
	int length;

	if (connection->state != HTTP_STREAMING)
		return;
	text = api_write_event(event);
	length = text ? asprintf(&line, "%s\n", text) : -1;
	if (length > 0)
		http_write_chunk(&client->stream, line, (size_t)length);
}

static void connection_release(struct client *client)
{
	struct http_connection *connection = connection_of(client);

	core_call_abandon(&connection->call);
	if (connection->message)
		protobuf_c_message_free_unpacked(connection->message, NULL);
	connection->message = NULL;
	http_request_clear(&connection->request);
}

static bool connection_is_idle(const struct client *client)
{
	const struct http_connection *connection = (const struct http_connection *)client;

	return connection->state == HTTP_READING && !http_request_begun(&connection->request) &&
	       !buffer_bytes(&client->stream.input) && !stream_has_output(&client->stream) &&
	       client->admitted && connection->used;
}

static const struct client_ops http_ops = {
	.advance = connection_advance,
	.expired = connection_expired,
	.retry = connection_retry,
	.event = connection_event,
	.release = connection_release,
	.is_idle = connection_is_idle,
};

int http_connection_begin(struct gateway *gateway, Bulkhead__Control__Role role, int fd)
{
	struct http_connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		close(fd);
		return -ENOMEM;
	}
	http_request_init(&connection->request);
	if (client_begin(&connection->client, gateway, role, fd, &http_ops) == 0)
		return 0;
	free(connection);
	return -ENOMEM;
}
