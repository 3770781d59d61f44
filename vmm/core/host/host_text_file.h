/* SPDX-License-Identifier: Apache-2.0 */
/* Small text files of /proc and /sys. */
#ifndef BULKHEAD_VMM_CORE_HOST_HOST_TEXT_FILE_H
#define BULKHEAD_VMM_CORE_HOST_HOST_TEXT_FILE_H

#include <stddef.h>

/*
 * Read path into text, which ends up terminated, its last newline removed, cut at text_bytes - 1.
 * 0, or a negative errno with text empty.
 */
int host_read_text(const char *path, char *text, size_t text_bytes);

#endif
