/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of the virtio entropy device (virtio 1.2, 5.4). */
#ifndef GUEST_VIRTIO_RNG_H
#define GUEST_VIRTIO_RNG_H

#include <stdint.h>

#include "virtio_pci.h"
#include "virtqueue.h"

struct virtio_rng {
	struct virtio_device device;
	struct virtqueue queue;
};

/* Resets and starts the (probed) device; may be called again. Returns NULL, or what failed. */
const char *rng_start(struct virtio_rng *rng, uint64_t wanted_features);

/* Asks for random bytes once. Returns how many came, or -1 on time-out or a wrong length. */
int rng_read(struct virtio_rng *rng, void *data, uint32_t size_bytes);

#endif
