/* SPDX-License-Identifier: Apache-2.0 */
/* Where the cgroup v2 tree is mounted and where in it we are. */
#ifndef BULKHEAD_VMM_BROKER_CGROUP_FIND_H
#define BULKHEAD_VMM_BROKER_CGROUP_FIND_H

#include "ipc/error.h"

/*
 * mount: the mount point of cgroup2; path: our own cgroup below it ("/" for the root). Both
 * PATH_MAX bytes. -ENOTSUP: not mounted.
 */
int cgroup_find_home(char *mount, char *path, struct error *err);

#endif
