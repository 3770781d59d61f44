/* SPDX-License-Identifier: Apache-2.0 */
/* Return values of QMP's queries. */
#ifndef BULKHEAD_VMM_GATEWAY_QMP_QUERIES_H
#define BULKHEAD_VMM_GATEWAY_QMP_QUERIES_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

struct gateway;

json_t *qmp_answer_version(const struct gateway *gateway);
json_t *qmp_write_name(const ProtobufCMessage *reply);
json_t *qmp_answer_name(const struct gateway *gateway);
json_t *qmp_answer_no_vm(const struct gateway *gateway); /* query-status before vm.create */

json_t *qmp_write_status(const ProtobufCMessage *reply);
json_t *qmp_write_cpus(const ProtobufCMessage *reply);
json_t *qmp_write_block(const ProtobufCMessage *reply);
json_t *qmp_write_migrate(const ProtobufCMessage *reply);

#endif
