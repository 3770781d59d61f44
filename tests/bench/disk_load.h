/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of the disk benchmark: what a guest's driver does, on one ring, with interrupts. The
 * same code drives every device.
 */
#ifndef BULKHEAD_TESTS_BENCH_DISK_LOAD_H
#define BULKHEAD_TESTS_BENCH_DISK_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "tests/devworkers/common/ring_driver.h"

#define DISK_LOAD_MAX_DEPTH	32U
#define DISK_LOAD_SEGMENT_BYTES (64U * 1024) /* longer requests are cut into such buffers */

struct disk_workload {
	const char *name; /* of the row */
	bool write, sequential;
	uint32_t request_bytes;
	unsigned depth; /* requests under way */
	bool extra;	/* only with --all: without an aim of its own */
};

/* Headers, status bytes and data buffers in the guest's memory, used by every device in turn. */
struct disk_buffers {
	struct guest_ram *ram; /* borrowed */
	uint64_t headers_gpa, statuses_gpa, data_gpa;
};

void disk_buffers_init(struct disk_buffers *buffers, struct guest_ram *ram);

/*
 * Run the workload for duration_ms on an idle ring, wait for all answers. Returns requests a second
 * in *rate. Negative errno with err set when the device fails a request or does not answer.
 */
int disk_load_run(struct ring_driver *ring, const struct disk_buffers *buffers,
		  const struct disk_workload *workload, uint64_t disk_bytes, unsigned duration_ms,
		  double *rate, struct error *err);

#endif
