/* SPDX-License-Identifier: Apache-2.0 */
/* As much of QMP as it takes to stop a QEMU and to save it. */
#ifndef BULKHEAD_TESTS_BENCH_BENCH_QMP_H
#define BULKHEAD_TESTS_BENCH_BENCH_QMP_H

#include "ipc/error.h"

/* Connect to the socket at path, waiting for it to appear. Returns the fd. */
int bench_qmp_connect(const char *path, struct error *err);

/* Send a command, NAME or NAME with arguments as JSON ("" for none), and wait for its answer. */
int bench_qmp_command(int fd, const char *name, const char *arguments, struct error *err);

/*
 * Save the machine into file `path` and flush it to the disk, as fast as QEMU can: without
 * the limit that it keeps by default.
 */
int bench_qmp_save(int fd, const char *path, struct error *err);

#endif
