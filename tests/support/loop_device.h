/* SPDX-License-Identifier: Apache-2.0 */
/* A block device of a test's own. */
#ifndef BULKHEAD_TESTS_SUPPORT_LOOP_DEVICE_H
#define BULKHEAD_TESTS_SUPPORT_LOOP_DEVICE_H

#include <stddef.h>
#include <stdint.h>

/* A loop device on an image, with blocks of that size; its path is written to `path`. Returns its
 * fd: it goes when the last one does; -1: none is to be had. */
int loop_device_make(int image_fd, uint32_t block_bytes, char *path, size_t bytes);

#endif
