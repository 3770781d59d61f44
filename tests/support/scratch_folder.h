/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own. */
#ifndef BULKHEAD_TESTS_SUPPORT_SCRATCH_FOLDER_H
#define BULKHEAD_TESTS_SUPPORT_SCRATCH_FOLDER_H

#include <stddef.h>

/* Make "/tmp/bulkhead-NAME-…" and write its path into `path`, of `bytes` bytes. Fails the test. */
void scratch_folder_make(const char *name, char *path, size_t bytes);

/* Remove a folder with all that is in it; what symbolic links lead to stays. Fails the test. */
void scratch_folder_remove(const char *path);

#endif
