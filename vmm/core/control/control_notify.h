/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify(3): telling the service manager that started us how we are. The socket is opened while
 * paths may still be reached.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_CONTROL_NOTIFY_H
#define BULKHEAD_VMM_CORE_CONTROL_CONTROL_NOTIFY_H

#include "ipc/error.h"

/*
 * Connect to $NOTIFY_SOCKET, which is taken out of the environment. *fd is the caller's; -1:
 * nobody wants to know.
 */
int control_notify_open(int *fd, struct error *err);

/* Send "READY=1" or "STOPPING=1". Never blocks; fd may be -1. */
void control_notify_send(int fd, const char *text);

#endif
