/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small files of a snapshot: one protobuf message each, ending with the field `checksum`
 * (number 2047), the XXH3 128-bit hash of all bytes before it. What is read is hostile until the
 * checksum fits, and its contents still are afterwards: a checksum finds damage, not intent.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_FILE_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_SNAPSHOT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "ipc/error.h"

#define SNAPSHOT_CHECKSUM_BYTES 16
#define SNAPSHOT_TRAILER_BYTES	(3 + SNAPSHOT_CHECKSUM_BYTES)
#define SNAPSHOT_MAX_FILE_BYTES (64U << 20) /* the manifest of a terabyte fits */

/* XXH3 128-bit in canonical (big endian) form. */
void snapshot_checksum(const void *data, size_t bytes, uint8_t checksum[SNAPSHOT_CHECKSUM_BYTES]);

/* Pack message (its own checksum field unset) and append the checksum. *data is malloc'ed, the
 * caller's. */
int snapshot_file_pack(const ProtobufCMessage *message, uint8_t **data, size_t *bytes,
		       struct error *err);

/* Append the checksum to a message that is packed already; data is reallocated. */
int snapshot_file_seal(uint8_t **data, size_t *bytes, struct error *err);

/* Check the trailer; *message_bytes receives the length without it. */
int snapshot_file_verify(const uint8_t *data, size_t bytes, size_t *message_bytes,
			 struct error *err);

/* Write all of data to fd at offset 0 and flush it to the disk. Any thread. */
int snapshot_file_write(int fd, const uint8_t *data, size_t bytes, struct error *err);

/*
 * Read a whole regular file. -EFBIG: larger than max_bytes; -EIO: it changed its size while it was
 * read. *data is malloc'ed, the caller's.
 */
int snapshot_file_read(int fd, size_t max_bytes, uint8_t **data, size_t *bytes, struct error *err);

#endif
