/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed header in front of every packet between two Bulkhead processes, and the checks that
 * need nothing but the packet itself. Both ends run on one machine and come from one build tree, so
 * fields are in native byte order; magic and version catch everything else. docs/PROTOCOL.md
 * describes the frame.
 */
#ifndef BULKHEAD_IPC_FRAME_H
#define BULKHEAD_IPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

#define FRAME_MAGIC   0x4b4c5542U /* "BULK" */
#define FRAME_VERSION 1

#define FRAME_MAX_PAYLOAD ((size_t)60 * 1024)
#define FRAME_MAX_FDS	  64
#define FRAME_MAX_ERRNO	  4095 /* the kernel's MAX_ERRNO */

enum frame_kind {
	FRAME_REQUEST = 1, /* wants exactly one reply with the same id and type */
	FRAME_REPLY = 2,
	FRAME_EVENT = 3, /* no answer */
};

struct frame_header {
	uint32_t magic;
	uint8_t version;
	uint8_t kind;  /* enum frame_kind */
	uint16_t type; /* of the protocol's own enum, never 0 */
	uint32_t id;   /* of the request; 0 in events only */
	/* Replies only: 0, or a negative errno; the payload is then the text of the error, without
	 * a terminator, and there are no fds. */
	int32_t error_code;
	uint32_t payload_bytes; /* exactly what follows the header */
	uint16_t fd_count;	/* exactly what SCM_RIGHTS carries */
	uint16_t reserved;	/* 0 */
};

#define FRAME_MAX_BYTES (sizeof(struct frame_header) + FRAME_MAX_PAYLOAD)

/* "request", "reply", "event", or "packet of unknown kind". */
const char *frame_kind_name(unsigned kind);

/*
 * Fill in a header. The caller has checked payload_bytes and fd_count against the limits above.
 * error_code is 0 but in error replies.
 */
void frame_header_init(struct frame_header *header, enum frame_kind kind, uint16_t type,
		       uint32_t id, int32_t error_code, size_t payload_bytes, unsigned fd_count);

/*
 * Check a received packet of packet_bytes with fds_received descriptors beside it and copy its
 * header out. 0, or -EPROTO with err saying what the peer did ("sent a packet of 3 bytes, shorter
 * than a header").
 */
int frame_check(const void *packet, size_t packet_bytes, unsigned fds_received,
		struct frame_header *header, struct error *err);

#endif
