/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ctl/http_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define MAX_BODY_BYTES ((size_t)16 << 20)

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
	struct http_client *client = parser->data;
	struct http_response *response = &client->response;
	char *body;

	if (client->on_part && parser->status_code == 200) {
		client->left = !client->on_part(client->opaque, at, length);
		return client->left ? HPE_USER : 0;
	}
	if (length > MAX_BODY_BYTES - response->body_bytes)
		return HPE_USER;
	body = realloc(response->body, response->body_bytes + length + 1);
	if (!body)
		return HPE_USER;
	memcpy(body + response->body_bytes, at, length);
	response->body = body;
	response->body_bytes += length;
	body[response->body_bytes] = '\0';
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	struct http_client *client = parser->data;

	/* "100 Continue" and its like come before the response. */
	if (parser->status_code >= 200) {
		client->complete = true;
		client->response.status = parser->status_code;
	}
	return 0;
}

static const llhttp_settings_t settings = {
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

static int socket_connect(const char *path, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG, "socket %s: longer than %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set_errno(err, -errno, "connect to %s", path);
	return fd_steal(&fd);
}

static int socket_send(int fd, const char *data, size_t bytes, struct error *err)
{
	while (bytes) {
		ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return error_set_errno(err, -errno, "send the request");
		data += sent;
		bytes -= (size_t)sent;
	}
	return 0;
}

int http_client_send(struct http_client *client, const char *path, const char *method,
		     const char *name, const char *body, struct error *err)
{
	cleanup_free char *text = NULL;
	int length;

	client->fd = socket_connect(path, err);
	if (client->fd < 0)
		return err->code;
	llhttp_init(&client->parser, HTTP_RESPONSE, &settings);
	client->parser.data = client;
	length = asprintf(&text,
			  "%s /api/v1/%s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
			  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			  method, name, body ? strlen(body) : 0, body ? body : "");
	if (length < 0) {
		text = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	return socket_send(client->fd, text, (size_t)length, err);
}

static int client_parse(struct http_client *client, const char *data, size_t bytes,
			struct error *err)
{
	llhttp_errno_t result = llhttp_execute(&client->parser, data, bytes);

	if (client->left || client->complete)
		return 1;
	if (result != HPE_OK)
		return error_set(err, -EPROTO, "the answer is not HTTP: %s",
				 llhttp_errno_name(result));
	return 0;
}

int http_client_poll(struct http_client *client, int timeout_ms, struct error *err)
{
	struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
	char data[8192];
	ssize_t got;

	if (poll(&poll_fd, 1, timeout_ms) <= 0)
		return 0;
	got = recv(client->fd, data, sizeof(data), 0);
	if (got < 0)
		return errno == EINTR ? 0 : error_set_errno(err, -errno, "read the answer");
	if (got == 0)
		return error_set(err, -ECONNRESET, "the connection ended without an answer");
	return client_parse(client, data, (size_t)got, err);
}

void http_client_close(struct http_client *client)
{
	fd_close(&client->fd);
	free(client->response.body);
	client->response.body = NULL;
}
