/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/stats.h"

static void add_latency(struct stats_latency *latency, uint64_t duration_ns)
{
	uint64_t duration_us = duration_ns / 1000;

	latency->sum_us += duration_us;
	if (duration_us > latency->max_us)
		latency->max_us = duration_us;
}

void stats_add(struct stats *stats, const struct request *request, uint64_t duration_ns)
{
	switch (request->kind) {
	case REQUEST_READ:
		stats->read_ops++;
		stats->read_bytes += request->length_bytes;
		add_latency(&stats->read_latency, duration_ns);
		break;
	case REQUEST_WRITE:
		stats->write_ops++;
		stats->write_bytes += request->length_bytes;
		add_latency(&stats->write_latency, duration_ns);
		break;
	case REQUEST_FLUSH:
		stats->flush_ops++;
		add_latency(&stats->flush_latency, duration_ns);
		break;
	case REQUEST_DISCARD:
		stats->discard_ops++;
		break;
	case REQUEST_WRITE_ZEROES:
		stats->write_zeroes_ops++;
		break;
	case REQUEST_GET_ID:
		break;
	}
}

void stats_add_error(struct stats *stats)
{
	stats->errors++;
}

unsigned stats_report(const struct stats *stats, struct worker_counter *counters, unsigned capacity)
{
	const struct worker_counter all[] = {
		{"read_bytes", stats->read_bytes},
		{"write_bytes", stats->write_bytes},
		{"read_ops", stats->read_ops},
		{"write_ops", stats->write_ops},
		{"flush_ops", stats->flush_ops},
		{"discard_ops", stats->discard_ops},
		{"write_zeroes_ops", stats->write_zeroes_ops},
		{"errors", stats->errors},
		{"read_latency_us_sum", stats->read_latency.sum_us},
		{"read_latency_us_max", stats->read_latency.max_us},
		{"write_latency_us_sum", stats->write_latency.sum_us},
		{"write_latency_us_max", stats->write_latency.max_us},
		{"flush_latency_us_sum", stats->flush_latency.sum_us},
		{"flush_latency_us_max", stats->flush_latency.max_us},
	};
	unsigned count = sizeof(all) / sizeof(all[0]);

	if (count > capacity)
		count = capacity;
	for (unsigned i = 0; i < count; i++)
		counters[i] = all[i];
	return count;
}
