/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TESTS_BENCH_BENCH_FOLDER_H
#define BULKHEAD_TESTS_BENCH_BENCH_FOLDER_H

#include "ipc/error.h"

/* Remove a folder and what is in it; nothing there is fine. */
int bench_folder_remove(const char *path, struct error *err);

#endif
