/* SPDX-License-Identifier: Apache-2.0 */
/* What the process needs of its surroundings, whoever started it. */
#ifndef BULKHEAD_VMM_CORE_CONTROL_PROCESS_SETUP_H
#define BULKHEAD_VMM_CORE_CONTROL_PROCESS_SETUP_H

#include "ipc/error.h"

/*
 * First of all in main(): standard streams that were closed become /dev/null, so that nothing else
 * gets their numbers; all threads allocate from one heap, which needs no path; the soft limit on
 * fds is raised to what the hard one allows (two eventfds a queue add up), which the broker
 * inherits. Returns 0 or a negative errno with err set.
 */
int process_setup(struct error *err);

#endif
