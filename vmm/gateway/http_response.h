/* SPDX-License-Identifier: Apache-2.0 */
/* Writing HTTP responses. */
#ifndef BULKHEAD_VMM_GATEWAY_HTTP_RESPONSE_H
#define BULKHEAD_VMM_GATEWAY_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/error.h"
#include "vmm/gateway/json_errors.h"
#include "vmm/gateway/stream.h"

#define HTTP_JSON    "application/json"
#define HTTP_METRICS "text/plain; version=0.0.4"

/* A whole response. body may be NULL: none (204). extra: further header lines, each with its CRLF;
 * or "". */
void http_respond(struct stream *stream, unsigned status, const char *content_type,
		  const char *body, size_t body_bytes, bool keep_alive, const char *extra);

/* An error as the API reports it: a JSON array of strings. */
void http_respond_errors(struct stream *stream, unsigned status, const struct json_errors *errors,
			 bool keep_alive, const char *extra);

/* The status for a command's error (proto/control.proto says what the errnos mean). */
unsigned http_status_of(int code);

/* The head of a response whose body has no end; then its chunks. */
void http_respond_stream(struct stream *stream, const char *content_type);
void http_write_chunk(struct stream *stream, const char *data, size_t bytes);

#endif
