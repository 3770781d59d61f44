/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of the core to text (malloc; NULL: out of memory). */
#ifndef BULKHEAD_VMM_GATEWAY_API_WRITE_H
#define BULKHEAD_VMM_GATEWAY_API_WRITE_H

#include <protobuf-c/protobuf-c.h>

#include "proto/control.pb-c.h"

char *api_write_pong(const ProtobufCMessage *reply);
char *api_write_info(const ProtobufCMessage *reply);
char *api_write_counters(const ProtobufCMessage *reply);
char *api_write_processes(const ProtobufCMessage *reply);
char *api_write_progress(const ProtobufCMessage *reply);

/* Prometheus text. */
char *api_write_metrics(const ProtobufCMessage *reply);

/* An event as one line of JSON, without an end of line. */
char *api_write_event(const Bulkhead__Control__Event *event);

/* "none", "setup", "active", "completed", "failed", "cancelled". */
const char *api_snapshot_status_name(Bulkhead__Control__SnapshotStatus status);

#endif
