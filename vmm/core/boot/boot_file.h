/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel or initramfs file that is read with pread, by offset, into the loader's own structures
 * or straight into guest memory. The file is hostile and may shrink while it is read.
 */
#ifndef BULKHEAD_VMM_CORE_BOOT_BOOT_FILE_H
#define BULKHEAD_VMM_CORE_BOOT_BOOT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"

struct boot_file {
	int fd;		  /* borrowed */
	const char *path; /* for messages, borrowed */
	uint64_t size_bytes;
};

/* Look at fd. -EINVAL unless it is a regular file with something in it; err names path. */
int boot_file_init(struct boot_file *file, int fd, const char *path, struct error *err);

/*
 * Read exactly [offset, offset + length_bytes). -EINVAL when the file ends before (a truncated
 * image), or the negative errno of pread.
 */
int boot_file_read(const struct boot_file *file, uint64_t offset, void *to, size_t length_bytes,
		   struct error *err);

/* As boot_file_read, to guest memory at gpa. -ENOMEM when the range is not all RAM. */
int boot_file_load(const struct boot_file *file, uint64_t offset, uint64_t length_bytes,
		   const struct guest_memory *memory, uint64_t gpa, struct error *err);

#endif
