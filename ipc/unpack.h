/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpack a protobuf message that a hostile peer or file wrote, with bounded memory. A few bytes of
 * input can ask the decoder for many bytes of memory (empty sub-messages, packed arrays, unknown
 * fields); here everything that one message allocates is capped relative to its length.
 */
#ifndef BULKHEAD_IPC_UNPACK_H
#define BULKHEAD_IPC_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "ipc/error.h"

/* What a message of payload_bytes may allocate in all while it is unpacked. */
#define UNPACK_BASE_BYTES	    ((size_t)64 * 1024)
#define UNPACK_BYTES_PER_BYTE	    16
#define UNPACK_LIMIT(payload_bytes) (UNPACK_BASE_BYTES + UNPACK_BYTES_PER_BYTE * (payload_bytes))

/*
 * Unpack payload into *message (malloc; freed with protobuf_c_message_free_unpacked(…, NULL)).
 * -EPROTO with err ("which is not a valid bulkhead.worker.Configure") when it is malformed or asks
 * for too much memory.
 */
int unpack_message(const ProtobufCMessageDescriptor *descriptor, const uint8_t *payload,
		   size_t payload_bytes, ProtobufCMessage **message, struct error *err);

#endif
