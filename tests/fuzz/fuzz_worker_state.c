/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every worker's saved state begins with (SavedState of proto/worker.proto), and all that
 * there is of the entropy device's: the input is the blob. Queues that are taken are the device's.
 */
#include <stdint.h>
#include <stdlib.h>

#include "devworkers/common/worker_context.h"

#define QUEUES	   2
#define QUEUE_SIZE 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_queues(const Bulkhead__Worker__SavedState *saved)
{
	if (saved->n_queues > QUEUES)
		abort();
	for (size_t i = 0; i < saved->n_queues; i++)
		if (saved->queues[i]->index >= QUEUES || saved->queues[i]->size > QUEUE_SIZE ||
		    saved->queues[i]->next_available > UINT16_MAX ||
		    saved->queues[i]->next_used > UINT16_MAX)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct worker_device_ops ops = {.kind = "rng"};
	static struct worker worker = {
		.ops = &ops,
		.description = {.features = 0x130000000,
				.queue_count = QUEUES,
				.queue_sizes = {QUEUE_SIZE, QUEUE_SIZE}},
	};
	Bulkhead__Worker__SavedState *saved = NULL;
	struct error err = ERROR_INIT;

	if (worker_parse_saved(&worker, data, size, &saved, &err) == 0) {
		check_queues(saved);
		worker_free_saved(saved);
	} else if (err.code >= 0 || !err.message[0]) {
		abort();
	}
	return 0;
}
