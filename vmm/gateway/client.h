/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all clients have in common, whatever they speak: a stream, a deadline, a place in the
 * gateway's list. A protocol embeds struct client as its first member and gives it a struct
 * client_ops.
 */
#ifndef BULKHEAD_VMM_GATEWAY_CLIENT_H
#define BULKHEAD_VMM_GATEWAY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/control.pb-c.h"
#include "vmm/gateway/stream.h"

#define CLIENT_NO_DEADLINE UINT64_MAX

struct client;
struct core_call;
struct gateway;

struct client_ops {
	/* Input, its end, or drained output: go on. The client may end itself (client_end). */
	void (*advance)(struct client *client);
	/* deadline_ms is over. */
	void (*expired)(struct client *client);
	/* The core can take a call again, after core_link_call() has said -EBUSY. Optional. */
	void (*retry)(struct client *client);
	/* Something happened in the VM. Optional. */
	void (*event)(struct client *client, const Bulkhead__Control__Event *event);
	/* Free what the protocol holds, calls to the core included, but not the client itself. */
	void (*release)(struct client *client);
	/* Could it be let go, in favour of another? NULL: never. */
	bool (*is_idle)(const struct client *client);
};

struct client {
	const struct client_ops *ops;
	struct gateway *gateway;
	struct stream stream;
	Bulkhead__Control__Role role;
	uint64_t deadline_ms; /* CLOCK_MONOTONIC */
	uint64_t active_ms;   /* when it was heard of last */
	/* Nothing is read before the core has looked at the peer's credentials. */
	bool admitted;
	struct core_call *admission;
	bool ended; /* freed when the loop comes round */
	struct client *next;
};

/*
 * Take fd (owned in every case) for the client, whose memory (calloc, protocol parts filled in) is
 * the gateway's from success on. 0 or a negative errno: the caller frees it.
 */
int client_begin(struct client *client, struct gateway *gateway, Bulkhead__Control__Role role,
		 int fd, const struct client_ops *ops);

/* The connection is over. The memory stays until the loop comes round. Idempotent. */
void client_end(struct client *client);

void client_set_deadline(struct client *client, uint64_t deadline_ms);

/* Ask the core about the peer, again if it had no room for the question. */
void client_ask_admission(struct client *client);

#endif
