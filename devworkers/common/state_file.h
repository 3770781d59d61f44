/* SPDX-License-Identifier: Apache-2.0 */
/* Saved state that is larger than one packet travels in a sealed memfd (proto/worker.proto). */
#ifndef BULKHEAD_DEVWORKERS_COMMON_STATE_FILE_H
#define BULKHEAD_DEVWORKERS_COMMON_STATE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

#define STATE_FILE_MAX_BYTES (16U << 20)

/* A new memfd that holds bytes and can no longer change, owned by the caller; or a negative errno.
 */
int state_file_create(const void *bytes, size_t length_bytes, struct error *err);

/*
 * Read a state file of a peer whole into *bytes (malloc). fd is borrowed. -EINVAL unless it is a
 * memfd sealed against shrinking, growing and writing, of 1 to STATE_FILE_MAX_BYTES bytes.
 */
int state_file_read(int fd, uint8_t **bytes, size_t *length_bytes, struct error *err);

#endif
