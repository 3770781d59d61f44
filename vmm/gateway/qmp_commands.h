/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of QMP: a command is one row, which says which message the core gets, how the arguments
 * become that message and how the reply becomes the "return" value.
 */
#ifndef BULKHEAD_VMM_GATEWAY_QMP_COMMANDS_H
#define BULKHEAD_VMM_GATEWAY_QMP_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "proto/control.pb-c.h"
#include "vmm/gateway/json_errors.h"

#define QMP_VERSION_MAJOR 8 /* of the protocol's own history, whose commands these are */

struct gateway;

struct qmp_command {
	const char *name;
	uint16_t message; /* to the core; 0: answered here */
	bool is_long;	  /* without a deadline of ours: the core answers, or is gone */
	/* Arguments to the message (NULL with errors), a row without it takes none. */
	ProtobufCMessage *(*read)(json_t *arguments, struct json_errors *errors);
	/* The return value; a row without it returns {}. */
	json_t *(*write)(const ProtobufCMessage *reply);
	/* Of a command that is answered here, or when there is no VM. */
	json_t *(*answer)(const struct gateway *gateway);
};

/* NULL: there is none. */
const struct qmp_command *qmp_command_find(const char *name);

/* {"qemu":{…},"package":"…"} */
json_t *qmp_version(void);

/* "STOP", or NULL for an event that is none of QMP. */
const char *qmp_event_name(Bulkhead__Control__EventKind kind);

#endif
