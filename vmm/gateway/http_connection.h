/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that speaks HTTP. READING -> RUNNING -> READING …, one request at a time: pipelined
 * requests wait in the stream. After an error that leaves the stream out of step: LINGERING, until
 * the client has read the answer. A client that follows events: STREAMING.
 */
#ifndef BULKHEAD_VMM_GATEWAY_HTTP_CONNECTION_H
#define BULKHEAD_VMM_GATEWAY_HTTP_CONNECTION_H

#include "proto/control.pb-c.h"

struct gateway;

/* Serve fd (owned in every case) by the routes of role. 0 or a negative errno. */
int http_connection_begin(struct gateway *gateway, Bulkhead__Control__Role role, int fd);

#endif
