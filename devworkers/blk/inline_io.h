/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers that the page cache can take at once, made right here instead of by the engine: one
 * system call and no switch of threads. Only for images without O_DIRECT.
 *
 * Reads, and writes where the file system can tell, never block (RWF_NOWAIT). Other file systems'
 * writes are a copy into the cache nearly always, but may wait for memory or for the disk. After a
 * slow write the next ones are watched, and one that waits long is answered with a pause, fifty
 * times as long, in which writes go to the engine: at most two per cent of the time is lost to
 * waiting. The worker's thread.
 */
#ifndef BULKHEAD_DEVWORKERS_BLK_INLINE_IO_H
#define BULKHEAD_DEVWORKERS_BLK_INLINE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct inline_io {
	bool enabled;	     /* the image is cached */
	bool no_read_nowait; /* the file system said so */
	bool no_write_nowait;
	uint64_t
		watch_until_ns; /* tell waiting from losing the processor: costs two system calls */
	uint64_t write_pause_until_ns;
};

/* Start again, for a new image. */
void inline_io_init(struct inline_io *policy, bool cached);

/*
 * Bytes moved, perhaps fewer than asked for; 0: nothing was done, use the engine. *now_ns is
 * CLOCK_MONOTONIC at the call and is brought up to date.
 */
int64_t inline_io_read(struct inline_io *policy, int fd, const struct iovec *segments,
		       unsigned count, uint64_t offset_bytes, uint64_t *now_ns);
int64_t inline_io_write(struct inline_io *policy, int fd, const struct iovec *segments,
			unsigned count, uint64_t offset_bytes, uint64_t *now_ns);

#endif
