/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_rng.h"

#include <stddef.h>

#define RNG_TIMEOUT_US 5000000

const char *rng_start(struct virtio_rng *rng, uint64_t wanted_features)
{
	const char *problem = virtio_begin(&rng->device, wanted_features);

	if (problem == NULL) {
		problem = virtqueue_setup(&rng->queue, &rng->device, 0);
	}
	if (problem == NULL) {
		virtio_finish(&rng->device);
	}
	return problem;
}

int rng_read(struct virtio_rng *rng, void *data, uint32_t size_bytes)
{
	struct virtqueue_segment segment = {data, size_bytes, true};
	uint32_t length = 0;
	int head = virtqueue_add(&rng->queue, &segment, 1);

	if (head < 0) {
		return -1;
	}
	virtqueue_kick(&rng->queue);
	if (virtqueue_wait(&rng->queue, &length, RNG_TIMEOUT_US) != head) {
		return -1;
	}
	return length > size_bytes || length == 0 ? -1 : (int)length;
}
