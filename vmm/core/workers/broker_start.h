/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the broker's process. */
#ifndef BULKHEAD_VMM_CORE_WORKERS_BROKER_START_H
#define BULKHEAD_VMM_CORE_WORKERS_BROKER_START_H

#include "vmm/core/workers/broker_client.h"

/*
 * Returns our end of its socket and its pidfd (-1 where the kernel gives none), both owned by the
 * caller. The process is a child of the caller.
 */
int broker_start_process(const struct broker_start_options *options, int *pidfd, struct error *err);

#endif
