/* SPDX-License-Identifier: Apache-2.0 */
/* Feature bits and configuration space of the disk (virtio 1.2, 5.2.3 and 5.2.4). Pure. */
#ifndef BULKHEAD_DEVWORKERS_BLK_CONFIG_SPACE_H
#define BULKHEAD_DEVWORKERS_BLK_CONFIG_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "devworkers/blk/image.h"

/* Up to and with write_zeroes_may_unmap and its padding. */
#define CONFIG_SPACE_BYTES 60U

/* The device-specific features that the disk offers. */
uint64_t config_space_features(const struct image *image, unsigned queue_count);

/* Fill `space`, CONFIG_SPACE_BYTES long, little endian. */
void config_space_fill(uint8_t *space, const struct image *image, unsigned queue_count,
		       uint16_t queue_size);

#endif
