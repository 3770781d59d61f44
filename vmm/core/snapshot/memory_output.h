/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a memory region, written by a thread of its own behind the one that fills it: reading
 * and hashing memory, copying it to the page cache, and the disk work at the same time.
 */
#ifndef BULKHEAD_VMM_CORE_SNAPSHOT_MEMORY_OUTPUT_H
#define BULKHEAD_VMM_CORE_SNAPSHOT_MEMORY_OUTPUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"

#define MEMORY_OUTPUT_BYTES (512U << 10) /* of a buffer */

struct memory_output;

/* For file fd, which stays the caller's. Each byte written counts in *stored_bytes. NULL: see err.
 */
struct memory_output *memory_output_new(int fd, _Atomic uint64_t *stored_bytes, struct error *err);

/*
 * A buffer of MEMORY_OUTPUT_BYTES to fill, which belongs to the output; waits until one is free.
 * The same one until it is submitted.
 */
uint8_t *memory_output_buffer(struct memory_output *output);

/* Have the buffer's first bytes written at offset. Fails with what an earlier write failed with. */
int memory_output_submit(struct memory_output *output, uint64_t offset, size_t bytes,
			 struct error *err);

/* Wait until all is written. Does not flush the file to the disk. */
int memory_output_finish(struct memory_output *output, struct error *err);

/* Ends the thread; what is not written yet is dropped. Accepts NULL. */
void memory_output_destroy(struct memory_output *output);

#endif
