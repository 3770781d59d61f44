/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that is served on demand: the file is empty at first, the pager fills a page when a
 * process that maps it touches it. Every mapping has to be registered before its first touch; a
 * page read before would be zeros, silently.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_ON_DEMAND_H
#define BULKHEAD_DEVWORKERS_COMMON_ON_DEMAND_H

#include "devworkers/common/guest_memory.h"
#include "ipc/error.h"

/*
 * Register all regions of memory for missing-page faults with a new userfaultfd, made from
 * device_fd (/dev/userfaultfd, borrowed; USERFAULTFD_IOC_NEW: faults inside the kernel included).
 * Returns the userfaultfd, owned by the caller, non-blocking; or a negative errno. The registration
 * lasts until the mapping goes away or the last copy of the userfaultfd is closed.
 */
int on_demand_register(const struct guest_memory *memory, int device_fd, struct error *err);

/*
 * End the registration although others hold copies of the userfaultfd: who waits goes on, and what
 * is missing becomes zeros. Only when nobody needs the contents any more.
 */
void on_demand_unregister(const struct guest_memory *memory, int userfaultfd);

/*
 * Let every thread of this process that waits for a page go on, on private zeros in its place: the
 * shared memory stays as it is, and other processes wait on. memory has lost its contents here; it
 * is destroyed as usual.
 */
void on_demand_abandon(const struct guest_memory *memory, int userfaultfd);

#endif
