/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of QMP commands to messages for the core; as api_read.h. */
#ifndef BULKHEAD_VMM_GATEWAY_QMP_READ_H
#define BULKHEAD_VMM_GATEWAY_QMP_READ_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "vmm/gateway/json_errors.h"

ProtobufCMessage *qmp_read_pause(json_t *arguments, struct json_errors *errors);
ProtobufCMessage *qmp_read_block_resize(json_t *arguments, struct json_errors *errors);
ProtobufCMessage *qmp_read_migrate(json_t *arguments, struct json_errors *errors);

#endif
