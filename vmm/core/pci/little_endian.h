/* SPDX-License-Identifier: Apache-2.0 */
/* Register contents as PCI and virtio lay them out: little endian, any alignment, 0 to 8 bytes. */
#ifndef BULKHEAD_VMM_CORE_PCI_LITTLE_ENDIAN_H
#define BULKHEAD_VMM_CORE_PCI_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint64_t little_endian_load(const uint8_t *bytes, unsigned length_bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < length_bytes; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

static inline void little_endian_store(uint8_t *bytes, unsigned length_bytes, uint64_t value)
{
	for (unsigned i = 0; i < length_bytes; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

#endif
