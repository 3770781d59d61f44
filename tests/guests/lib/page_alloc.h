/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for a guest's rings and buffers: pages handed out upwards from the end of the image and
 * never given back.
 */
#ifndef GUEST_PAGE_ALLOC_H
#define GUEST_PAGE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE_BYTES 4096u

/*
 * Returns count zeroed pages in a row. Ends the guest with a failed test if RAM runs out: no guest
 * can do anything useful then.
 */
void *page_alloc(size_t count);

/* As page_alloc(), but not zeroed, for callers that fill the memory themselves. */
void *page_alloc_unzeroed(size_t count);

/* The address of the next page that would be handed out. */
uint64_t page_alloc_next_gpa(void);

/* How many pages can still be handed out. */
uint64_t page_alloc_available(void);

#endif
