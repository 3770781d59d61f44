/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile text to a JSON value: strict UTF-8, no duplicate keys, bounded depth. */
#ifndef BULKHEAD_VMM_GATEWAY_JSON_TEXT_H
#define BULKHEAD_VMM_GATEWAY_JSON_TEXT_H

#include <stddef.h>

#include <jansson.h>

#include "vmm/gateway/json_errors.h"

#define JSON_TEXT_MAX_DEPTH 16

/* The value (one reference, the caller's), or NULL with the reason added to errors. */
json_t *json_text_parse(const char *text, size_t bytes, struct json_errors *errors);

#endif
