/* SPDX-License-Identifier: Apache-2.0 */
/* A directory as the API wants it: an absolute file URL. */
#ifndef BULKHEAD_VMM_CTL_DIRECTORY_URL_H
#define BULKHEAD_VMM_CTL_DIRECTORY_URL_H

/*
 * "file:…" as it is; a path made absolute from the current directory, with the bytes escaped that a
 * URL cannot hold. The caller's (malloc); NULL: out of memory, or no current directory.
 */
char *directory_url(const char *text);

#endif
