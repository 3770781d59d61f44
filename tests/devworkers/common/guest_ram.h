/* SPDX-License-Identifier: Apache-2.0 */
/* One region of guest memory as a test's "guest" has it: a memfd, and a bump allocator in it. */
#ifndef BULKHEAD_TESTS_DEVWORKERS_COMMON_GUEST_RAM_H
#define BULKHEAD_TESTS_DEVWORKERS_COMMON_GUEST_RAM_H

#include <stddef.h>
#include <stdint.h>

struct guest_ram {
	int fd;
	uint64_t gpa; /* of the first byte */
	uint64_t size_bytes;
	uint8_t *hva;
	uint64_t next_free; /* gpa */
};

/* Make memory at gpa (page aligned). Aborts the test on failure. */
void guest_ram_init(struct guest_ram *ram, uint64_t gpa, uint64_t size_bytes);
void guest_ram_destroy(struct guest_ram *ram); /* accepts a zeroed one */

/* Take bytes out of it, aligned; aborts the test when there are none left. Returns the gpa. */
uint64_t guest_ram_allocate(struct guest_ram *ram, uint64_t bytes, uint64_t alignment);

/* Host address of a gpa; no check but that it lies inside. */
void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa);

/* A memfd of `bytes` zeros with F_SEAL_SHRINK, for dirty and in-flight logs. Owned by the caller.
 */
int guest_ram_log_file(size_t bytes);

#endif
