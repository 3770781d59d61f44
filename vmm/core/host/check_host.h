/* SPDX-License-Identifier: Apache-2.0 */
/* `bulkhead check-host`: a command of its own, run instead of a VM. */
#ifndef BULKHEAD_VMM_CORE_HOST_CHECK_HOST_H
#define BULKHEAD_VMM_CORE_HOST_CHECK_HOST_H

/*
 * Run the command; argv[0] is "check-host". Returns the exit status of enum
 * monitor_exit: CLEAN a VM can run here, HOST it cannot, USAGE an option is not known. Call before
 * any thread is started: it forks.
 */
int check_host_main(int argc, char **argv);

#endif
