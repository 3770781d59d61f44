/* SPDX-License-Identifier: Apache-2.0 */
/* Huge pages for a test: reserved on the host, and given back. */
#ifndef BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_HUGE_PAGES_H
#define BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_HUGE_PAGES_H

/* Reserve `count` more 2 MiB pages. False: a reason was printed, nothing is reserved. */
_Bool huge_pages_reserve(unsigned count);

/* Give back what was reserved; harmless when nothing is. */
void huge_pages_give_back(void);

#endif
