/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the HTTP API: a command is one row. HTTP is a front end only: a row says which
 * message the core gets, how the request's body becomes that message, and how the reply becomes
 * text.
 */
#ifndef BULKHEAD_VMM_GATEWAY_HTTP_ROUTES_H
#define BULKHEAD_VMM_GATEWAY_HTTP_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "proto/control.pb-c.h"
#include "vmm/gateway/json_errors.h"

struct http_route {
	Bulkhead__Control__Role role;
	const char *path; /* whole */
	unsigned method;  /* HTTP_GET, … */
	uint16_t message; /* to the core; 0: not in this version, or streams_events */
	bool is_long;	  /* without a deadline of ours: the core answers, or is gone */
	unsigned max_fds;
	bool streams_events;
	/* The request's body to the message (free with protobuf_c_message_free_unpacked), or NULL
	 * with errors. A row without it takes no body. */
	ProtobufCMessage *(*read)(json_t *body, struct json_errors *errors);
	/* The reply to text (malloc). A row without it answers 204. */
	char *(*write)(const ProtobufCMessage *reply);
	bool writes_without_vm;	  /* write takes NULL, when there is no VM */
	const char *content_type; /* of write */
};

/*
 * The route of a request target ("/api/v1/vm.info", also with "http://host" before it and a query
 * behind it). NULL: none; *allow is then 0, or the method that this path takes (405).
 */
const struct http_route *http_route_find(Bulkhead__Control__Role role, const char *target,
					 unsigned method, unsigned *allow);

/* "vm.info", for messages. */
const char *http_route_name(const struct http_route *route);

#endif
