/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/qmp_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/cleanup.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/json_text.h"
#include "vmm/gateway/qmp_commands.h"
#include "vmm/gateway/qmp_document.h"

#define WRITE_MS 30000

enum qmp_state {
	QMP_NEGOTIATING, /* legal: qmp_capabilities; no event is sent */
	QMP_READY,
	QMP_WAITING, /* the core cannot take a call yet */
	QMP_RUNNING, /* the core works on a command */
	QMP_CLOSING, /* the last answer is out */
};

struct qmp_connection {
	struct client client; /* first */
	enum qmp_state state;
	bool greeted;
	const struct qmp_command *command;
	json_t *id; /* of the command; NULL: it has none */
	ProtobufCMessage *message;
	struct core_call *call;
};

static struct qmp_connection *connection_of(struct client *client)
{
	return (struct qmp_connection *)client;
}

/* ---- answers ---- */

/* Takes the object. */
static void qmp_send(struct qmp_connection *connection, json_t *object)
{
	cleanup_free char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (!text) {
		client_end(&connection->client);
		return;
	}
	stream_write(&connection->client.stream, text, strlen(text));
	stream_write(&connection->client.stream, "\r\n", 2);
}

/* Takes the object; adds the command's id, which is used up. */
static void qmp_answer(struct qmp_connection *connection, json_t *object)
{
	if (connection->id)
		(void)json_object_set_new(object, "id", connection->id);
	connection->id = NULL;
	qmp_send(connection, object);
}

static void qmp_return(struct qmp_connection *connection, json_t *value)
{
	json_t *object = json_object();

	(void)json_object_set_new(object, "return", value ? value : json_object());
	qmp_answer(connection, object);
}

static void qmp_fail(struct qmp_connection *connection, const char *class, const char *text)
{
	json_t *description = json_string(text);

	qmp_answer(connection, json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc",
					 description ? description : json_string("(not UTF-8)")));
}

static void qmp_fail_errors(struct qmp_connection *connection, const struct json_errors *errors)
{
	char text[ERROR_MESSAGE_SIZE];

	json_errors_join(errors, text, sizeof(text));
	qmp_fail(connection, "GenericError", text);
}

static void qmp_greet(struct qmp_connection *connection)
{
	connection->greeted = true;
	qmp_send(connection,
		 json_pack("{s:{s:o, s:[]}}", "QMP", "version", qmp_version(), "capabilities"));
}

/* ---- commands ---- */

static void qmp_advance(struct client *client);

static void qmp_on_reply(void *owner, const ProtobufCMessage *reply, const struct error *err)
{
	struct qmp_connection *connection = owner;
	const struct qmp_command *command = connection->command;

	connection->call = NULL;
	connection->state = QMP_READY;
	if (err && err->code == -ENODEV && command->answer)
		qmp_return(connection, command->answer(connection->client.gateway));
	else if (err)
		qmp_fail(connection, err->code == -ENOENT ? "DeviceNotFound" : "GenericError",
			 err->message);
	else
		qmp_return(connection, command->write ? command->write(reply) : NULL);
	qmp_advance(&connection->client);
}

static void qmp_call(struct qmp_connection *connection)
{
	struct error err = ERROR_INIT;
	int result = core_link_call(
		connection->client.gateway, connection->command->message, connection->message, NULL,
		0, connection->command->is_long ? CORE_CALL_LONG_MS : CORE_CALL_SHORT_MS,
		qmp_on_reply, connection, &connection->call, &err);

	connection->state = result == -EBUSY ? QMP_WAITING : QMP_RUNNING;
	if (result == -EBUSY)
		return;
	if (connection->message)
		protobuf_c_message_free_unpacked(connection->message, NULL);
	connection->message = NULL;
	if (result < 0) {
		connection->state = QMP_READY;
		qmp_fail(connection, "GenericError", err.message);
	}
}

static void qmp_negotiate(struct qmp_connection *connection, json_t *arguments)
{
	json_t *enable = json_object_get(arguments, "enable");
	const char *name;
	json_t *value;

	json_object_foreach(arguments, name, value) if (strcmp(name, "enable") != 0)
	{
		qmp_fail(connection, "GenericError", "qmp_capabilities: unknown argument");
		return;
	}
	if (enable && (!json_is_array(enable) || json_array_size(enable) != 0)) {
		qmp_fail(connection, "GenericError", "enable: no capability is offered");
		return;
	}
	connection->state = QMP_READY;
	qmp_return(connection, NULL);
}

static void qmp_run(struct qmp_connection *connection, const char *name, json_t *arguments)
{
	struct json_errors errors = {0};
	cleanup_free char *text = NULL;

	connection->command = qmp_command_find(name);
	if (!connection->command) {
		if (asprintf(&text, "The command %.64s has not been found", name) < 0)
			text = NULL;
		qmp_fail(connection, "CommandNotFound", text ? text : "command not found");
		return;
	}
	if (connection->command->read)
		connection->message = connection->command->read(arguments, &errors);
	else if (json_object_size(arguments))
		json_errors_add(&errors, json_object_iter_key(json_object_iter(arguments)),
				"unknown argument");
	if (errors.count)
		qmp_fail_errors(connection, &errors);
	else if (connection->command->message)
		qmp_call(connection);
	else
		qmp_return(connection, connection->command->answer(connection->client.gateway));
}

static const char *qmp_check_members(json_t *document)
{
	const char *name;
	json_t *value;

	if (!json_is_object(document))
		return "QMP input must be a JSON object";
	json_object_foreach(document, name, value) if (
		strcmp(name, "execute") != 0 && strcmp(name, "arguments") != 0 &&
		strcmp(name, "id") !=
			0) return "QMP input has a member that is not execute, arguments or id";
	if (!json_object_get(document, "execute"))
		return "QMP input lacks member 'execute'";
	if (!json_is_string(json_object_get(document, "execute")))
		return "QMP input member 'execute' must be a string";
	if (json_object_get(document, "arguments") &&
	    !json_is_object(json_object_get(document, "arguments")))
		return "QMP input member 'arguments' must be an object";
	return NULL;
}

static void qmp_execute(struct qmp_connection *connection, json_t *document)
{
	const char *problem = qmp_check_members(document);
	json_t *given = json_object_get(document, "arguments");
	json_t *arguments = given ? json_incref(given) : json_object();
	const char *name = json_string_value(json_object_get(document, "execute"));

	if (json_is_object(document))
		connection->id = json_incref(json_object_get(document, "id"));
	if (problem)
		qmp_fail(connection, "GenericError", problem);
	else if (strcmp(name, "qmp_capabilities") == 0 && connection->state == QMP_NEGOTIATING)
		qmp_negotiate(connection, arguments);
	else if (strcmp(name, "qmp_capabilities") == 0)
		qmp_fail(connection, "CommandNotFound",
			 "Capabilities negotiation is already complete, command ignored");
	else if (connection->state == QMP_NEGOTIATING)
		qmp_fail(connection, "CommandNotFound",
			 "Expecting capabilities negotiation with 'qmp_capabilities'");
	else
		qmp_run(connection, name, arguments);
	json_decref(arguments);
}

/* ---- bytes ---- */

static void qmp_close_over_length(struct qmp_connection *connection)
{
	qmp_fail(connection, "GenericError", "JSON: longer than 65536 bytes");
	connection->state = QMP_CLOSING;
	stream_end_output(&connection->client.stream);
	client_set_deadline(&connection->client, channel_now_ms() + 2000);
}

/* True when there may be more to do with what has arrived. */
static bool qmp_feed(struct qmp_connection *connection)
{
	struct stream *stream = &connection->client.stream;
	struct json_errors errors = {0};
	int blank;
	size_t length = qmp_document_length(buffer_first(&stream->input),
					    buffer_bytes(&stream->input), &blank);
	json_t *document;

	if (length == 0 && blank) {
		buffer_free(&stream->input);
		return false;
	}
	if (length == 0 && buffer_bytes(&stream->input) <= QMP_MAX_DOCUMENT_BYTES)
		return false;
	if (length == 0 || length > QMP_MAX_DOCUMENT_BYTES) {
		qmp_close_over_length(connection);
		return false;
	}
	if (!blank) {
		document = json_text_parse(buffer_first(&stream->input), length, &errors);
		if (document)
			qmp_execute(connection, document);
		else
			qmp_fail_errors(connection, &errors);
		json_decref(document);
	}
	buffer_consume(&stream->input, length);
	return true;
}

static bool qmp_is_reading(const struct qmp_connection *connection)
{
	return connection->state == QMP_NEGOTIATING || connection->state == QMP_READY;
}

static void qmp_advance(struct client *client)
{
	struct qmp_connection *connection = connection_of(client);
	struct stream *stream = &client->stream;

	if (!connection->greeted && client->admitted)
		qmp_greet(connection);
	stream_drop_fds(stream); /* no command takes any */
	while (!client->ended && qmp_is_reading(connection) && buffer_bytes(&stream->input) &&
	       !stream_has_output(stream))
		if (!qmp_feed(connection))
			break;
	if (client->ended)
		return;
	if (connection->state == QMP_CLOSING)
		buffer_free(&stream->input);
	if (stream->input_ended && !stream_has_output(stream) &&
	    (qmp_is_reading(connection) || connection->state == QMP_CLOSING)) {
		client_end(client);
		return;
	}
	stream_set_reading(stream, (qmp_is_reading(connection) && !stream_has_output(stream)) ||
					   connection->state == QMP_CLOSING);
	if (connection->state != QMP_CLOSING)
		client_set_deadline(client, stream_has_output(stream) ? channel_now_ms() + WRITE_MS
								      : CLIENT_NO_DEADLINE);
}

/* ---- what happens to a client ---- */

static void qmp_expired(struct client *client)
{
	client_end(client);
}

static void qmp_retry(struct client *client)
{
	struct qmp_connection *connection = connection_of(client);

	if (connection->state != QMP_WAITING)
		return;
	qmp_call(connection);
	qmp_advance(client);
}

static const char *event_property(const Bulkhead__Control__Event *event, const char *name)
{
	for (size_t i = 0; i < event->n_properties; i++)
		if (strcmp(event->properties[i]->name, name) == 0)
			return event->properties[i]->value;
	return "";
}

/* NULL: the event has no data. */
static json_t *event_data(const Bulkhead__Control__Event *event)
{
	switch (event->kind) {
	case BULKHEAD__CONTROL__EVENT_KIND__EVENT_SHUTDOWN:
	case BULKHEAD__CONTROL__EVENT_KIND__EVENT_RESET:
		return json_pack("{s:b, s:s}", "guest",
				 strcmp(event_property(event, "guest"), "true") == 0, "reason",
				 event_property(event, "reason"));
	case BULKHEAD__CONTROL__EVENT_KIND__EVENT_DEVICE_DELETED:
		return json_pack("{s:s, s:s}", "device", event_property(event, "id"), "path",
				 event_property(event, "id"));
	case BULKHEAD__CONTROL__EVENT_KIND__EVENT_MIGRATION:
		return json_pack("{s:s}", "status", event_property(event, "status"));
	default:
		return NULL;
	}
}

static void qmp_event(struct client *client, const Bulkhead__Control__Event *event)
{
	struct qmp_connection *connection = connection_of(client);
	const char *name = qmp_event_name(event->kind);
	json_t *data;
	json_t *object;

	if (!name || connection->state == QMP_NEGOTIATING || connection->state == QMP_CLOSING)
		return;
	object = json_pack("{s:{s:I, s:i}, s:s}", "timestamp", "seconds",
			   (json_int_t)(event->seconds & INT64_MAX), "microseconds",
			   (int)(event->nanoseconds / 1000), "event", name);
	data = event_data(event);
	if (data)
		(void)json_object_set_new(object, "data", data);
	qmp_send(connection, object);
}

static void qmp_release(struct client *client)
{
	struct qmp_connection *connection = connection_of(client);

	core_call_abandon(&connection->call);
	if (connection->message)
		protobuf_c_message_free_unpacked(connection->message, NULL);
	connection->message = NULL;
	json_decref(connection->id);
	connection->id = NULL;
}

static const struct client_ops qmp_ops = {
	.advance = qmp_advance,
	.expired = qmp_expired,
	.retry = qmp_retry,
	.event = qmp_event,
	.release = qmp_release,
};

int qmp_connection_begin(struct gateway *gateway, int fd, bool no_negotiation)
{
	struct qmp_connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		close(fd);
		return -ENOMEM;
	}
	connection->state = no_negotiation ? QMP_READY : QMP_NEGOTIATING;
	if (client_begin(&connection->client, gateway, BULKHEAD__CONTROL__ROLE__ROLE_QMP, fd,
			 &qmp_ops) == 0)
		return 0;
	free(connection);
	return -ENOMEM;
}
