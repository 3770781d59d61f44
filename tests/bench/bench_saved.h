/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What restores begin with: the guest `answer`, saved by Bulkhead and by QEMU while it waits for a
 * byte on its serial port.
 */
#ifndef BULKHEAD_TESTS_BENCH_BENCH_SAVED_H
#define BULKHEAD_TESTS_BENCH_BENCH_SAVED_H

#include "tests/bench/bench_machines.h"

/* The guest's command line: how many MiB it touches. */
#define BENCH_SAVED_CMDLINE(mib)      BENCH_SAVED_CMDLINE_TEXT(mib)
#define BENCH_SAVED_CMDLINE_TEXT(mib) "touch=" #mib

/*
 * What waits on the standard input of a restored machine. More than one byte: QEMU takes the first
 * before it restores its serial port, and then forgets it.
 */
#define BENCH_SAVED_INPUT "xxxx"

/* A snapshot into folder `path`, which is replaced. */
int bench_saved_snapshot(const char *build, const char *path, unsigned memory_mib,
			 unsigned touch_mib, struct error *err);

/* QEMU's migration of machine into file `path`; folder is for its socket. */
int bench_saved_migration(const struct bench_machine *machine, const char *folder, const char *path,
			  struct error *err);

#endif
