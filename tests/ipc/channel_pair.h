/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the channel tests: two channels joined by a socket pair (`ours` and `theirs`), or a channel
 * whose peer is the bare socket, so that a test can send what no channel would.
 *
 * Types are those of proto/worker.proto: QUIESCE and STATS as requests, NEEDS_RESET as an event,
 * DIRTY_LOG as a request with exactly one descriptor.
 */
#ifndef BULKHEAD_TESTS_IPC_CHANNEL_PAIR_H
#define BULKHEAD_TESTS_IPC_CHANNEL_PAIR_H

#include <stdbool.h>

#include "ipc/channel.h"
#include "proto/worker.pb-c.h"

#define STATE_IDLE 0
#define STATE_BUSY 1

struct endpoint {
	struct channel *channel;
	unsigned state;
	/* what the handlers saw */
	unsigned requests, events;
	uint32_t last_id;
	char last_reason[64];
	int stolen_fd;
	/* what the handlers shall do */
	bool answer, refuse, steal_fd, send_from_handler;
	/* what the callbacks saw */
	unsigned replies, reply_errors, closed;
	struct error reply_error, closed_error;
};

struct channel_pair {
	struct endpoint ours, theirs;
	int raw_fd; /* -1, or the peer's bare socket */
};

int channel_pair_setup(void **state);	  /* two channels */
int channel_pair_setup_raw(void **state); /* ours, and raw_fd */
int channel_pair_teardown(void **state);

/* A reply callback that counts into the endpoint given as opaque. */
void channel_pair_on_reply(void *opaque, struct channel_message *message, const struct error *err);

/* Send an empty request of ours. */
int channel_pair_request(struct endpoint *endpoint, uint16_t type, uint32_t timeout_ms);

/* Send bytes (a header made here, then payload) over raw_fd. */
struct raw_frame {
	struct frame_header header;
	uint8_t payload[FRAME_MAX_PAYLOAD + 1];
	size_t bytes; /* to send; 0: header and header.payload_bytes */
	unsigned fd_count;
};
void raw_frame_init(struct raw_frame *frame, enum frame_kind kind, uint16_t type, uint32_t id);
void raw_frame_send(const struct channel_pair *pair, const struct raw_frame *frame);

/* Open descriptors of this process. */
unsigned count_open_fds(void);

#endif
