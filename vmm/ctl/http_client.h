/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of HTTP on a unix socket: one request on one connection. */
#ifndef BULKHEAD_VMM_CTL_HTTP_CLIENT_H
#define BULKHEAD_VMM_CTL_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include <llhttp.h>

#include "ipc/error.h"

#define HTTP_CLIENT_NO_TIMEOUT (-1)

struct http_response {
	unsigned status;
	char *body; /* owned, terminated; NULL while empty */
	size_t body_bytes;
};

/* Part of a body that has no end. Return false to leave. */
typedef bool (*http_client_part_fn)(void *opaque, const char *data, size_t bytes);

struct http_client {
	int fd; /* -1: none */
	llhttp_t parser;
	struct http_response response;
	bool complete, left;
	http_client_part_fn on_part; /* NULL: the body is collected */
	void *opaque;
};

/*
 * Connect to the socket at path and send "METHOD /api/v1/NAME" with body (NULL: none).
 * -ECONNREFUSED and others of connect(2): nobody serves it; -ENAMETOOLONG.
 */
int http_client_send(struct http_client *client, const char *path, const char *method,
		     const char *name, const char *body, struct error *err);

/*
 * Read what is there, waiting for it at most timeout_ms. 1: the response is complete; 0: not yet;
 * negative errno with err: the connection has failed.
 */
int http_client_poll(struct http_client *client, int timeout_ms, struct error *err);

void http_client_close(struct http_client *client);

#endif
