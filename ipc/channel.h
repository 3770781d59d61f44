/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a SOCK_SEQPACKET unix socket between two Bulkhead processes.
 *
 * Every packet is a struct frame_header (ipc/frame.h) and one protobuf message of the type it
 * names, with file descriptors by SCM_RIGHTS. The peer is hostile: each received packet is checked
 * against a table (known type and kind, length, number of fds, legal in the receiver's present
 * state) before a handler sees a byte of it; anything else closes the channel and tells the owner
 * who did what.
 *
 * Requests carry an id and a deadline; the answer calls the callback of its request exactly once:
 * with the reply, or with an error (-ETIMEDOUT, -ECONNRESET, …). A reply that nobody waits for is a
 * violation. Late replies to timed-out requests are not: they are dropped (their ids are
 * remembered).
 *
 * A channel belongs to one thread and to no event loop: the owner polls channel_fd() for
 * channel_poll_events() and calls channel_dispatch(); it also calls channel_expire() no later than
 * channel_next_deadline_ms(). channel_call_sync() serves start-up code that has no loop yet.
 */
#ifndef BULKHEAD_IPC_CHANNEL_H
#define BULKHEAD_IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "ipc/error.h"
#include "ipc/frame.h"

#define CHANNEL_MAX_FDS		 FRAME_MAX_FDS
#define CHANNEL_MAX_PAYLOAD	 FRAME_MAX_PAYLOAD /* larger state travels as a sealed memfd */
#define CHANNEL_MAX_PENDING	 64		   /* requests of ours that wait for an answer */
#define CHANNEL_MAX_QUEUED_BYTES ((size_t)1024 * 1024)

/*
 * Events that a peer may send at once and per second after that: more is a flood. Far above what a
 * guest can cause by making its device ask for resets. Requests need no such limit: who does not
 * read the replies is cut off by CHANNEL_MAX_QUEUED_BYTES.
 */
#define CHANNEL_EVENT_BURST	  1024
#define CHANNEL_EVENTS_PER_SECOND 8192

/* What a handler gets. payload and fds are valid during the call; fds left in the array are closed
 * after it. */
struct channel_message {
	enum frame_kind kind;
	uint16_t type;
	uint32_t id;
	const uint8_t *payload;
	size_t payload_bytes;
	int fds[CHANNEL_MAX_FDS]; /* steal with fd_steal() */
	unsigned fd_count;
	const ProtobufCMessage
		*body; /* unpacked by the row's descriptor; freed by the channel after the call */
};

struct channel;

/*
 * One row a (kind, type) that this end accepts. Replies need a row too (states ignored: a reply is
 * legal exactly while its request waits). A handler returns 0, or a negative errno with err set
 * when the peer broke the protocol: the channel is then closed as for any violation.
 */
struct channel_row {
	uint16_t type;
	enum frame_kind kind;
	const char *name;			      /* for messages: "quiesce" */
	const ProtobufCMessageDescriptor *descriptor; /* body; NULL: payload must be empty */
	size_t max_payload_bytes;		      /* 0: CHANNEL_MAX_PAYLOAD */
	unsigned min_fds, max_fds;
	uint32_t legal_states; /* bit mask, 1 << state; 0: every state */
	int (*handler)(void *owner, struct channel_message *message,
		       struct error *err); /* not for replies */
};

/* error is 0 and message->body set, or a negative errno with text in err and message NULL. */
typedef void (*channel_reply_fn)(void *opaque, struct channel_message *message,
				 const struct error *err);

struct channel_callbacks {
	/* Present state of the owner, for legal_states. NULL: 0. */
	unsigned (*state)(void *owner);
	/*
	 * The channel is closed: peer gone (err->code -ECONNRESET) or cut off for a violation
	 * (-EPROTO). err starts with the peer's name. Called once, after all pending requests got
	 * the same error, from channel_dispatch(), channel_expire() or channel_call_sync() only;
	 * channel_fd() is -1 already, but the fd itself is closed right after this call, so that
	 * the owner stops watching it here. The owner may call channel_destroy() from its loop
	 * later, not from here.
	 */
	void (*closed)(void *owner, const struct error *err);
};

/*
 * Make a channel on fd (SOCK_SEQPACKET; owned by the channel from success on; made non-blocking and
 * close-on-exec). peer names the other end in messages ("blk \"root\""); copied. rows and callbacks
 * must outlive the channel. Returns NULL with err set on failure. Needs fcntl and getsockopt;
 * afterwards a channel lives on sendmsg, recvmsg, close and memory, and on fcntl
 * (F_DUPFD_CLOEXEC) to queue descriptors and poll in channel_call_sync().
 */
struct channel *channel_new(int fd, const char *peer, const struct channel_row *rows,
			    size_t row_count, const struct channel_callbacks *callbacks,
			    void *owner, struct error *err);

/*
 * Close and free. Pending requests get -ECANCELED; closed() is not called. Not from a callback or
 * handler of this channel. The owner has stopped watching the fd. Accepts NULL.
 */
void channel_destroy(struct channel *channel);

int channel_fd(const struct channel *channel); /* -1 once closed */
short channel_poll_events(
	const struct channel *channel); /* POLLIN, and POLLOUT while output is queued */
const char *channel_peer(const struct channel *channel);

/*
 * Read and handle what has arrived (at most max_packets, so that one flooding peer cannot starve
 * the others; 0: a default of 16) and send what is queued. Returns 0, or a negative errno once
 * closed.
 */
int channel_dispatch(struct channel *channel, unsigned max_packets);

/*
 * Milliseconds of CLOCK_MONOTONIC when the next pending request times out; UINT64_MAX: none; 0: the
 * channel failed while something was sent (the peer does not read) and the next channel_expire() or
 * channel_dispatch() closes it. Ask again after every call into the channel.
 */
uint64_t channel_next_deadline_ms(const struct channel *channel);

/*
 * Fail every request whose deadline is not after now_ms. A peer that owes too many answers is cut
 * off.
 */
void channel_expire(struct channel *channel, uint64_t now_ms);

/*
 * Sending never blocks, never closes the channel and never calls back; any callback may do it.
 * -ECONNRESET: the channel is closed or the peer is gone; -EMSGSIZE: body longer than
 * CHANNEL_MAX_PAYLOAD; -ENOBUFS: CHANNEL_MAX_QUEUED_BYTES are waiting for a peer that does not
 * read; -EINVAL: more than CHANNEL_MAX_FDS, or no row for the reply; -EBUSY: CHANNEL_MAX_PENDING.
 *
 * Send a request. fds are borrowed (duplicated when the packet has to be queued). callback runs
 * exactly once later, unless this call itself returns an error (then never). body may be NULL for
 * an empty message.
 */
int channel_request(struct channel *channel, uint16_t type, const ProtobufCMessage *body,
		    const int *fds, unsigned fd_count, uint32_t timeout_ms,
		    channel_reply_fn callback, void *opaque, struct error *err);

/*
 * Answer request (id, type), at once or later: with body (NULL: empty), or with failure, whose code
 * (a negative errno) and message reach the peer's callback.
 */
int channel_reply(struct channel *channel, uint16_t type, uint32_t id, const ProtobufCMessage *body,
		  const int *fds, unsigned fd_count, struct error *err);
int channel_reply_error(struct channel *channel, uint16_t type, uint32_t id,
			const struct error *failure);

int channel_event(struct channel *channel, uint16_t type, const ProtobufCMessage *body,
		  const int *fds, unsigned fd_count, struct error *err);

/*
 * Send a request and wait for its reply, for start-up code without a loop: polls and dispatches
 * this channel only, so events and requests of the peer are handled meanwhile. On success
 * *reply_body is the unpacked reply (caller frees with protobuf_c_message_free_unpacked(…, NULL);
 * NULL if the row has no descriptor) and fds are moved to reply_fds (at most *reply_fd_count in;
 * actual number out; NULL: none is kept). Not from a callback. -ETIMEDOUT, -ECONNRESET, -EPROTO,
 * or the peer's own error.
 */
int channel_call_sync(struct channel *channel, uint16_t type, const ProtobufCMessage *body,
		      const int *fds, unsigned fd_count, uint32_t timeout_ms,
		      ProtobufCMessage **reply_body, int *reply_fds, unsigned *reply_fd_count,
		      struct error *err);

/* Now in milliseconds of CLOCK_MONOTONIC. */
uint64_t channel_now_ms(void);

/* A connected SOCK_SEQPACKET pair, close-on-exec, with send buffers fit for CHANNEL_MAX_PAYLOAD. */
int channel_socketpair(int fds[2], struct error *err);

#endif
