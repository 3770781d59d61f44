/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of one disk. Plain numbers of the worker's thread; read when the core asks for STATS. */
#ifndef BULKHEAD_DEVWORKERS_BLK_STATS_H
#define BULKHEAD_DEVWORKERS_BLK_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/blk/request.h"
#include "devworkers/common/worker.h"

/* From the pop of a request to the publication of its status. */
struct stats_latency {
	uint64_t sum_us;
	uint64_t max_us;
};

struct stats {
	uint64_t read_bytes, write_bytes;
	uint64_t read_ops, write_ops, flush_ops, discard_ops, write_zeroes_ops;
	uint64_t errors; /* requests answered with anything but OK */
	struct stats_latency read_latency, write_latency, flush_latency;
};

/* Account one request that succeeded. duration_ns: since it was popped. */
void stats_add(struct stats *stats, const struct request *request, uint64_t duration_ns);

void stats_add_error(struct stats *stats);

/* Fill counters, return their number (at most capacity). */
unsigned stats_report(const struct stats *stats, struct worker_counter *counters,
		      unsigned capacity);

#endif
