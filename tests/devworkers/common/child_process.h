/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a piece of a test in a process of its own, which it may restrict or kill. */
#ifndef BULKHEAD_TESTS_DEVWORKERS_COMMON_CHILD_PROCESS_H
#define BULKHEAD_TESTS_DEVWORKERS_COMMON_CHILD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Returns the exit status of the child. It must not return from main by itself. */
typedef int (*child_fn)(void *opaque);

/* Fork, run function, wait. Returns the status of waitpid(). */
int child_run(child_fn function, void *opaque);

/* The same in a new user and mount namespace, mapped to the caller's ids as root. */
int child_run_in_namespaces(child_fn function, void *opaque);

/* Does this host let us make a user namespace? */
bool child_can_have_namespaces(void);

#endif
