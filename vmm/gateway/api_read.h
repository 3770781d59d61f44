/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the API's requests to messages for the core. */
#ifndef BULKHEAD_VMM_GATEWAY_API_READ_H
#define BULKHEAD_VMM_GATEWAY_API_READ_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "vmm/gateway/json_errors.h"

/* Each returns a message that the caller frees, or NULL with errors added. */
ProtobufCMessage *api_read_create(json_t *body, struct json_errors *errors);
ProtobufCMessage *api_read_resize_disk(json_t *body, struct json_errors *errors);
ProtobufCMessage *api_read_snapshot(json_t *body, struct json_errors *errors);
ProtobufCMessage *api_read_restore(json_t *body, struct json_errors *errors);

/*
 * "file:///DIR", "file://localhost/DIR" or "file:DIR" to the path of DIR (malloc), percent signs
 * decoded; NULL with an error added. It must be absolute.
 */
char *api_read_url(const char *url, const char *field, struct json_errors *errors);

#endif
