/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request out of a stream of bytes (RFC 9112), by llhttp, under limits. Fed with whatever
 * has arrived; stops at the end of the request, so that the next one is not begun before this one
 * is answered.
 */
#ifndef BULKHEAD_VMM_GATEWAY_HTTP_REQUEST_H
#define BULKHEAD_VMM_GATEWAY_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include <llhttp.h>

#include "vmm/gateway/buffer.h"

#define HTTP_MAX_HEAD_BYTES   ((size_t)16 * 1024) /* else 431 */
#define HTTP_MAX_TARGET_BYTES ((size_t)1024)	  /* else 414 */
#define HTTP_MAX_BODY_BYTES   ((size_t)51200)	  /* else 413 */
/* Of a whole request on the wire: chunks of one byte with long extensions end somewhere, with 413.
 */
#define HTTP_MAX_WIRE_BYTES ((size_t)512 * 1024)

enum http_progress {
	HTTP_PROGRESS_MORE,	/* all bytes used, the request is not complete */
	HTTP_PROGRESS_COMPLETE, /* may be answered; bytes may be left */
	HTTP_PROGRESS_BAD,	/* to be answered with status and problem, then closed */
};

#define HTTP_FIELD_SIZE 32

struct http_request {
	llhttp_t parser;
	char target[HTTP_MAX_TARGET_BYTES + 1]; /* as sent */
	size_t target_bytes;
	unsigned method; /* HTTP_GET, … */
	struct buffer body;
	size_t wire_bytes;
	bool head_complete, complete, keep_alive;
	bool expects_continue; /* and gets it before it sends its body */
	/* The header field that is being read; longer ones are none that we look at. */
	char field[HTTP_FIELD_SIZE], value[HTTP_FIELD_SIZE];
	size_t field_bytes, value_bytes;
	/* HTTP_PROGRESS_BAD */
	unsigned status;
	const char *problem;
};

/* Prepare for the next request of a connection. Not before http_request_clear() of the last one. */
void http_request_init(struct http_request *request);
void http_request_clear(struct http_request *request);

/* Has anything of a request arrived? */
static inline bool http_request_begun(const struct http_request *request)
{
	return request->wire_bytes > 0;
}

/* Use bytes of data; *used says how many. */
enum http_progress http_request_feed(struct http_request *request, const char *data, size_t bytes,
				     size_t *used);

#endif
