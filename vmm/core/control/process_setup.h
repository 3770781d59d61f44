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

/* Whether the standard streams block, as whoever started us left them. */
struct process_streams {
	int flags[3]; /* -1: unknown */
};

/*
 * A console on the terminal makes its open file non-blocking, which the operator's shell shares,
 * and no worker may undo that: note how they are before there is one, put it back when there is
 * none.
 */
void process_streams_note(struct process_streams *streams);
void process_streams_put_back(const struct process_streams *streams);

#endif
