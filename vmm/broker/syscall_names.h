/* SPDX-License-Identifier: Apache-2.0 */
/* Names of system calls, for reports. */
#ifndef BULKHEAD_VMM_BROKER_SYSCALL_NAMES_H
#define BULKHEAD_VMM_BROKER_SYSCALL_NAMES_H

/* "openat" for its number; "unknown" for one that this build does not know. */
const char *syscall_name(int number);

#endif
