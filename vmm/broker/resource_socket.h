/* SPDX-License-Identifier: Apache-2.0 */
/* Listening unix sockets: made on request, removed at the end. */
#ifndef BULKHEAD_VMM_BROKER_RESOURCE_SOCKET_H
#define BULKHEAD_VMM_BROKER_RESOURCE_SOCKET_H

#include "vmm/broker/resource.h"

/*
 * A listening stream socket at resource->path, mode 0600. A socket there on which nobody listens
 * any more is replaced; anything else at that place is an error. Returns the fd.
 */
int resource_socket_listen(struct resource *resource, struct error *err);

/* Remove the socket if it is still the one that we made. */
void resource_socket_unlink(struct resource *resource);

#endif
