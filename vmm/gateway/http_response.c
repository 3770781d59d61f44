/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/http_response.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *reason_phrase(unsigned status)
{
	static const struct {
		unsigned status;
		const char *phrase;
	} phrases[] = {
		{200, "OK"},
		{204, "No Content"},
		{400, "Bad Request"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{417, "Expectation Failed"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

/* Head and body in one piece, so that a client that reads once gets both. */
static void write_together(struct stream *stream, const char *head, size_t head_bytes,
			   const char *body, size_t body_bytes)
{
	struct buffer whole = {0};

	if (buffer_append(&whole, head, head_bytes, SIZE_MAX) == 0 &&
	    buffer_append(&whole, body, body_bytes, SIZE_MAX) == 0) {
		stream_write(stream, buffer_first(&whole), buffer_bytes(&whole));
	} else {
		stream_write(stream, head, head_bytes);
		stream_write(stream, body, body_bytes);
	}
	buffer_free(&whole);
}

/* Clients look for "Content-Length: " as it is written here; a 204 has none (RFC 9110, 8.6). */
void http_respond(struct stream *stream, unsigned status, const char *content_type,
		  const char *body, size_t body_bytes, bool keep_alive, const char *extra)
{
	char head[512];
	int length = snprintf(head, sizeof(head), "HTTP/1.1 %u %s\r\nServer: Bulkhead\r\n%s%s",
			      status, reason_phrase(status), extra,
			      keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n");

	if (body)
		length += snprintf(head + length, sizeof(head) - (size_t)length,
				   "Content-Type: %s\r\nContent-Length: %zu\r\n", content_type,
				   body_bytes);
	length += snprintf(head + length, sizeof(head) - (size_t)length, "\r\n");
	write_together(stream, head, (size_t)length, body, body ? body_bytes : 0);
}

void http_respond_errors(struct stream *stream, unsigned status, const struct json_errors *errors,
			 bool keep_alive, const char *extra)
{
	char *text = json_errors_text(errors);
	const char *body = text ? text : "[\"out of memory\"]";

	http_respond(stream, status, HTTP_JSON, body, strlen(body), keep_alive, extra);
	free(text);
}

unsigned http_status_of(int code)
{
	switch (code) {
	case -EINVAL:
		return 400;
	case -ENODEV:
	case -ENOENT:
		return 404;
	case -EBADFD:
		return 405;
	case -EEXIST:
		return 409;
	case -EBUSY:
		return 429;
	case -EOPNOTSUPP:
		return 501;
	default:
		return 500;
	}
}

void http_respond_stream(struct stream *stream, const char *content_type)
{
	char head[256];
	int length = snprintf(head, sizeof(head),
			      "HTTP/1.1 200 OK\r\nServer: Bulkhead\r\nConnection: close\r\n"
			      "Content-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
			      content_type);

	stream_write(stream, head, (size_t)length);
}

void http_write_chunk(struct stream *stream, const char *data, size_t bytes)
{
	char size[24];
	int length = snprintf(size, sizeof(size), "%zx\r\n", bytes);

	stream_write(stream, size, (size_t)length);
	stream_write(stream, data, bytes);
	stream_write(stream, "\r\n", 2);
}
