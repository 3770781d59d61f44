/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's channel to the broker: before a command that names files goes to the core, these
 * files are declared, in the client's name. The core cannot do that any more once a guest runs.
 */
#ifndef BULKHEAD_VMM_GATEWAY_BROKER_LINK_H
#define BULKHEAD_VMM_GATEWAY_BROKER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/common/loop_channel.h"
#include "ipc/channel.h"

struct gateway;

struct broker_link {
	struct channel *channel; /* NULL: none (unit tests) */
	struct loop_channel watch;
};

/* Take fd. */
int broker_link_init(struct broker_link *link, struct gateway *gateway, int fd, struct error *err);
void broker_link_destroy(struct broker_link *link);

/* Does a command (enum MessageType of control.proto) name files? */
bool broker_link_is_needed(uint16_t command);

/*
 * Declare the files that the request of a command names. done runs once later unless the call
 * fails: with err when the broker refuses them. A request that is malformed declares nothing: the
 * core says what is wrong with it.
 */
int broker_link_declare(struct gateway *gateway, uint16_t command, const ProtobufCMessage *request,
			channel_reply_fn done, void *opaque, struct error *err);

uint64_t broker_link_deadline_ms(const struct broker_link *link);
void broker_link_expire(struct broker_link *link, uint64_t now_ms);

#endif
