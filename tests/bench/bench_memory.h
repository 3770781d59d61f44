/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a process and all that descend from it, by /proc/PID/smaps. */
#ifndef BULKHEAD_TESTS_BENCH_BENCH_MEMORY_H
#define BULKHEAD_TESTS_BENCH_BENCH_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

#include "ipc/error.h"

/* Proportional set sizes: a page that three processes share counts a third for each. */
struct bench_memory {
	double own_kib;	  /* everything but guest memory */
	double guest_kib; /* guest memory, in whichever process it is mapped */
	unsigned processes;
};

/* verbose: print a line for each process. -EACCES: only root may look into other users' processes.
 */
int bench_memory_of_tree(pid_t root, bool verbose, struct bench_memory *memory, struct error *err);

#endif
