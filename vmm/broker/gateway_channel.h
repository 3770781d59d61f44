/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's own channel to the broker: what clients of the control sockets ask for is declared
 * over it, so that the core, which a guest may have taken over, need not be believed about it. One
 * at a time; a new gateway's replaces the old one's.
 */
#ifndef BULKHEAD_VMM_BROKER_GATEWAY_CHANNEL_H
#define BULKHEAD_VMM_BROKER_GATEWAY_CHANNEL_H

#include "ipc/error.h"

struct broker;
struct gateway_channel;

/* Make the pair: our end is kept, *gateway_fd is the caller's, for the new process. */
int gateway_channel_open(struct broker *broker, int *gateway_fd, struct error *err);

int gateway_channel_fd(const struct gateway_channel *gateway); /* -1: none */
short gateway_channel_poll_events(const struct gateway_channel *gateway);
void gateway_channel_dispatch(struct broker *broker);

/* Harmless when there is none. */
void gateway_channel_close(struct broker *broker);

#endif
