/* SPDX-License-Identifier: Apache-2.0 */
/* The identity map beyond the low 4 GiB that the image brings along. */
#ifndef GUEST_PAGING_H
#define GUEST_PAGING_H

#include <stdint.h>

/*
 * Makes [gpa, gpa + size_bytes) accessible at its own address, in whole GiB. Does nothing for what
 * is mapped already. BSP only.
 */
void paging_map(uint64_t gpa, uint64_t size_bytes);

#endif
