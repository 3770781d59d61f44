/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker itself gives up: it keeps the operator's access to files and little else. */
#ifndef BULKHEAD_VMM_BROKER_PRIVILEGES_H
#define BULKHEAD_VMM_BROKER_PRIVILEGES_H

#include "ipc/error.h"

/*
 * Keep the capabilities that opening files, writing id maps and killing workers need; drop all
 * others, the bounding set too; no_new_privs; no core file.
 *
 * The broker has no seccomp filter and no Landlock domain: its children would inherit both. A
 * filter's verdict would come before, and hide, the notifications by which it learns what a worker
 * tried, and a Landlock domain may not change mounts, which every worker's own sandbox does first.
 */
int broker_drop_privileges(struct error *err);

#endif
