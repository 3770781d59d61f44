/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core process: its loop, its broker, its one VM, and the exit status it ends with. Start-up
 * order: log, broker (the first process), sandbox of this process, loop, VM. Main thread only.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_MONITOR_H
#define BULKHEAD_VMM_CORE_CONTROL_MONITOR_H

#include "ipc/error.h"
#include "vmm/core/config/command_line.h"

/* Exit statuses, as --help and the manual document them. */
enum monitor_exit {
	MONITOR_EXIT_CLEAN = 0,	   /* the guest shut down, or the operator ended the VM */
	MONITOR_EXIT_INTERNAL = 1, /* something of ours failed */
	MONITOR_EXIT_USAGE = 2,	   /* bad command line or configuration */
	MONITOR_EXIT_HOST = 3,	   /* the host lacks something that is needed */
	MONITOR_EXIT_GUEST = 4,	   /* the guest crashed: kernel panic or triple fault */
};

/* Run a VM as the command line says until it ends; returns the exit status. Takes line's
 * configuration. */
enum monitor_exit monitor_run(struct command_line *line);

#endif
