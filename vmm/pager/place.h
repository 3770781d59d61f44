/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages into memory through a userfaultfd. Guest memory is shared: a page that is put into the
 * core's mapping is in the file that all mappings show, so that the others only need to be woken.
 */
#ifndef BULKHEAD_VMM_PAGER_PLACE_H
#define BULKHEAD_VMM_PAGER_PLACE_H

#include <stdint.h>

/*
 * Copy bytes (a multiple of page_bytes) from `from` to address in the process of userfaultfd and
 * wake who waits for them. Pages that are there already stay as they are. *placed_bytes grows by
 * what was copied. A negative errno: what is left of the range was not touched and nobody there is
 * woken (-ESRCH: the process is gone; -ENOENT: its mapping is).
 */
int place_copy(int userfaultfd, uint64_t address, const uint8_t *from, uint64_t bytes,
	       uint32_t page_bytes, uint64_t *placed_bytes);

/* The same with zeros; 4 KiB pages only. */
int place_zeros(int userfaultfd, uint64_t address, uint64_t bytes, uint32_t page_bytes,
		uint64_t *placed_bytes);

/* Let everybody who waits in the range try again. -ENOTTY: this is no userfaultfd. */
int place_wake(int userfaultfd, uint64_t address, uint64_t bytes);

#endif
