/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs that the broker starts: a fixed table, each opened once at start, so that a process
 * restarted later runs the same file whatever has happened to the folder since.
 */
#ifndef BULKHEAD_VMM_BROKER_KINDS_H
#define BULKHEAD_VMM_BROKER_KINDS_H

#include <stdbool.h>

#include "ipc/error.h"

#define KIND_COUNT 8

struct kind_table {
	int program_fds[KIND_COUNT]; /* O_PATH; -1: not installed */
};

/* Open the programs in folder (NULL: the folder of this program). A missing one is no error. */
int kind_table_open(struct kind_table *table, const char *folder, struct error *err);
void kind_table_close(struct kind_table *table);

/*
 * The program for a kind: fills *program_fd (borrowed) and *name ("bulkhead-blk", static). helper
 * says whether a helper ("gateway") or a device is wanted. -EINVAL: no such kind; -ENOENT: not
 * installed.
 */
int kind_table_find(const struct kind_table *table, const char *kind, bool helper, int *program_fd,
		    const char **name, struct error *err);

#endif
