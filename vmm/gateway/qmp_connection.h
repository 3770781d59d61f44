/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that speaks QMP: greeting, negotiation, one command at a time, events in between.
 * NEGOTIATING -> READY -> RUNNING -> READY …
 */
#ifndef BULKHEAD_VMM_GATEWAY_QMP_CONNECTION_H
#define BULKHEAD_VMM_GATEWAY_QMP_CONNECTION_H

#include <stdbool.h>

struct gateway;

/* Serve fd (owned in every case). no_negotiation: commands are obeyed at once. 0 or a negative
 * errno. */
int qmp_connection_begin(struct gateway *gateway, int fd, bool no_negotiation);

#endif
