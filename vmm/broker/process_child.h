/* SPDX-License-Identifier: Apache-2.0 */
/* What a new process does between clone3() and exec. */
#ifndef BULKHEAD_VMM_BROKER_PROCESS_CHILD_H
#define BULKHEAD_VMM_BROKER_PROCESS_CHILD_H

#include <stdbool.h>

#include "vmm/broker/process.h"

/*
 * Arrange fds 0 to 4, wait for the broker to write the id maps, become the inner root (or, without
 * namespaces, recipe's uid), exec. On failure tells the broker over launch_fd. Never returns.
 */
void process_child_run(const struct process_recipe *recipe, int launch_fd, bool has_namespaces)
	__attribute__((noreturn));

#endif
