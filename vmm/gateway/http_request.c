/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/gateway/http_request.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static struct http_request *request_of(llhttp_t *parser)
{
	return parser->data;
}

/* Returned by callbacks: ends parsing, with what the client is told. */
static int request_refuse(struct http_request *request, unsigned status, const char *problem)
{
	request->status = status;
	request->problem = problem;
	return -1;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
	struct http_request *request = request_of(parser);

	if (length > HTTP_MAX_TARGET_BYTES - request->target_bytes)
		return request_refuse(request, 414, "the request target is too long");
	memcpy(request->target + request->target_bytes, at, length);
	request->target_bytes += length;
	request->target[request->target_bytes] = '\0';
	return 0;
}

static void text_append(char text[HTTP_FIELD_SIZE], size_t *used, const char *at, size_t length)
{
	size_t room = HTTP_FIELD_SIZE - 1 - *used;

	/* One that does not fit ends as something that nobody compares equal. */
	if (length > room)
		length = room;
	memcpy(text + *used, at, length);
	*used += length;
	text[*used] = '\0';
}

static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
	struct http_request *request = request_of(parser);

	text_append(request->field, &request->field_bytes, at, length);
	return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
	struct http_request *request = request_of(parser);

	text_append(request->value, &request->value_bytes, at, length);
	return 0;
}

static int on_header_complete(llhttp_t *parser)
{
	struct http_request *request = request_of(parser);
	bool is_expect = strcasecmp(request->field, "Expect") == 0;
	bool is_continue = strcasecmp(request->value, "100-continue") == 0;

	request->field_bytes = request->value_bytes = 0;
	request->field[0] = request->value[0] = '\0';
	if (!is_expect || request->head_complete)
		return 0;
	if (!is_continue)
		return request_refuse(request, 417, "Expect: only 100-continue is known");
	request->expects_continue = true;
	return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	struct http_request *request = request_of(parser);

	request->head_complete = true;
	request->method = parser->method;
	if (parser->http_major != 1 || parser->http_minor > 1)
		return request_refuse(request, 505, "only HTTP/1.1 and HTTP/1.0 are spoken");
	if (parser->flags & F_CONTENT_LENGTH && parser->content_length > HTTP_MAX_BODY_BYTES)
		return request_refuse(request, 413, "the body is longer than 51200 bytes");
	/* No other protocol is offered: the wish to upgrade is ignored (RFC 9110, 7.8). */
	parser->upgrade = 0;
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
	struct http_request *request = request_of(parser);
	int result = buffer_append(&request->body, at, length, HTTP_MAX_BODY_BYTES);

	if (result == 0)
		return 0;
	return result == -ENOMEM
		       ? request_refuse(request, 500, "out of memory")
		       : request_refuse(request, 413, "the body is longer than 51200 bytes");
}

static int on_message_complete(llhttp_t *parser)
{
	struct http_request *request = request_of(parser);

	request->complete = true;
	request->keep_alive = llhttp_should_keep_alive(parser);
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void http_request_init(struct http_request *request)
{
	*request = (struct http_request){0};
	llhttp_init(&request->parser, HTTP_REQUEST, &settings);
	request->parser.data = request;
}

void http_request_clear(struct http_request *request)
{
	buffer_free(&request->body);
}

static enum http_progress request_fail(struct http_request *request, llhttp_errno_t error)
{
	if (request->status)
		return HTTP_PROGRESS_BAD;
	if (error == HPE_INVALID_VERSION || error == HPE_PAUSED_H2_UPGRADE)
		(void)request_refuse(request, 505, "only HTTP/1.1 and HTTP/1.0 are spoken");
	else
		(void)request_refuse(request, 400, "this is not a valid HTTP request");
	return HTTP_PROGRESS_BAD;
}

/* How much may be parsed before a limit has to be looked at. */
static size_t request_allowance(const struct http_request *request)
{
	size_t limit = request->head_complete ? HTTP_MAX_WIRE_BYTES : HTTP_MAX_HEAD_BYTES;

	return request->wire_bytes < limit ? limit - request->wire_bytes : 0;
}

enum http_progress http_request_feed(struct http_request *request, const char *data, size_t bytes,
				     size_t *used)
{
	*used = 0;
	while (*used < bytes) {
		size_t slice = request_allowance(request);
		llhttp_errno_t error;

		if (slice == 0) {
			(void)(request->head_complete
				       ? request_refuse(request, 413, "the request is too long")
				       : request_refuse(request, 431, "the header is too long"));
			return HTTP_PROGRESS_BAD;
		}
		if (slice > bytes - *used)
			slice = bytes - *used;
		error = llhttp_execute(&request->parser, data + *used, slice);
		if (error == HPE_OK) {
			*used += slice;
			request->wire_bytes += slice;
			continue;
		}
		if (error != HPE_PAUSED || !request->complete)
			return request_fail(request, error);
		*used = (size_t)(llhttp_get_error_pos(&request->parser) - data);
		request->wire_bytes += slice;
		return HTTP_PROGRESS_COMPLETE;
	}
	return HTTP_PROGRESS_MORE;
}
