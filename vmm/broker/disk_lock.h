/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole-image locks, so that two VMs cannot write one disk. The lock belongs to the open file
 * description: it travels with the fd to the worker and ends when the last copy is closed, however
 * its holder ends. Locks are advisory: they keep other VMs and well-behaved tools away, not root.
 */
#ifndef BULKHEAD_VMM_BROKER_DISK_LOCK_H
#define BULKHEAD_VMM_BROKER_DISK_LOCK_H

#include <stdbool.h>

#include "ipc/error.h"

/*
 * Lock all of fd: shared when read_only, else exclusive. At once: -ETXTBSY, "PATH is in use by
 * another VM or process", with its pid where the kernel tells (it does not for locks of this kind).
 */
int disk_lock_take(int fd, const char *path, bool read_only, struct error *err);

#endif
