/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests: a stream of bytes, cut where the input says, through the request parser, the
 * table of routes and the reader of the body. Limits hold, whatever comes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gateway/http_request.h"
#include "vmm/gateway/http_routes.h"
#include "vmm/gateway/json_text.h"

static void handle(const struct http_request *request)
{
	struct json_errors errors = {0};
	ProtobufCMessage *message;
	unsigned allow;
	json_t *value;
	const struct http_route *route = http_route_find(BULKHEAD__CONTROL__ROLE__ROLE_HTTP,
							 request->target, request->method, &allow);

	if (!route || !route->read || !buffer_bytes(&request->body))
		return;
	value = json_text_parse(buffer_first(&request->body), buffer_bytes(&request->body),
				&errors);
	message = value ? route->read(value, &errors) : NULL;
	if ((message != NULL) != (errors.count == 0))
		abort();
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
	json_decref(value);
	free(json_errors_text(&errors));
}

static void check_limits(const struct http_request *request)
{
	if (request->target_bytes > HTTP_MAX_TARGET_BYTES ||
	    buffer_bytes(&request->body) > HTTP_MAX_BODY_BYTES ||
	    (!request->head_complete && request->wire_bytes > HTTP_MAX_HEAD_BYTES))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request request;
	enum http_progress progress = HTTP_PROGRESS_MORE;
	size_t at = 1, used;
	size_t slice = size ? (size_t)data[0] + 1 : 1;

	http_request_init(&request);
	while (at < size && progress != HTTP_PROGRESS_BAD) {
		size_t bytes = size - at < slice ? size - at : slice;

		progress = http_request_feed(&request, (const char *)data + at, bytes, &used);
		check_limits(&request);
		if (progress == HTTP_PROGRESS_BAD && (!request.status || !request.problem))
			abort();
		if (used > bytes || (progress == HTTP_PROGRESS_MORE && used != bytes))
			abort();
		at += used;
		if (progress != HTTP_PROGRESS_COMPLETE)
			continue;
		handle(&request);
		http_request_clear(&request);
		http_request_init(&request);
	}
	http_request_clear(&request);
	return 0;
}
