/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's end of the socket to the core: calls with a callback, and what the core asks. The
 * rows say what may come.
 */
#ifndef BULKHEAD_VMM_GATEWAY_CORE_LINK_H
#define BULKHEAD_VMM_GATEWAY_CORE_LINK_H

#include <stdint.h>

#include "devworkers/common/loop_channel.h"
#include "ipc/channel.h"
#include "proto/control.pb-c.h"

#define CORE_MESSAGE(name) BULKHEAD__CONTROL__MESSAGE_TYPE__MESSAGE_##name

/* Deadlines of calls. */
#define CORE_CALL_SHORT_MS 10000
#define CORE_CALL_LONG_MS  UINT32_MAX

struct gateway;

struct core_link {
	struct channel *channel;
	struct loop_channel watch;
};

/* One call under way. The caller holds it until its callback has run, and may abandon it. */
struct core_call;

/* reply is NULL and err set, or the reply's body, valid during the call (NULL for an empty one)
 * with err NULL. */
typedef void (*core_reply_fn)(void *owner, const ProtobufCMessage *reply, const struct error *err);

int core_link_init(struct core_link *link, struct gateway *gateway, int fd, struct error *err);
void core_link_destroy(struct core_link *link);

/* After anything that may have queued output or a new deadline. */
void core_link_update(struct core_link *link);
uint64_t core_link_deadline_ms(const struct core_link *link);
void core_link_expire(struct core_link *link, uint64_t now_ms);

/*
 * Call the core. request may be NULL (empty), fds are borrowed. *call is set, and callback runs
 * once later unless the call is abandoned. -EBUSY: too many calls are under way, retry() of the
 * client will tell; -EMSGSIZE, -ECONNRESET …: with err, and nothing follows.
 */
int core_link_call(struct gateway *gateway, uint16_t type, const ProtobufCMessage *request,
		   const int *fds, unsigned fd_count, uint32_t timeout_ms, core_reply_fn callback,
		   void *owner, struct core_call **call, struct error *err);

/* The owner is no longer interested: the callback will not run. Accepts NULL. Sets *call to NULL.
 */
void core_call_abandon(struct core_call **call);

#endif
