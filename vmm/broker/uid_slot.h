/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unprivileged ids for the processes of one VM. When the operator is root, each VM claims a slot of
 * the host's range: the first id is the core's, the others are given to workers. The claim is an
 * open-file-description lock on the ids' byte range of one shared file, so that it ends with the
 * broker, however that ends, and overlapping ranges of different configurations still exclude each
 * other.
 */
#ifndef BULKHEAD_VMM_BROKER_UID_SLOT_H
#define BULKHEAD_VMM_BROKER_UID_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "devworkers/common/uid_range.h"
#include "ipc/error.h"

#define UID_SLOT_IDS		UID_RANGE_MIN_COUNT
#define UID_RANGE_DEFAULT_BASE	1879048192U
#define UID_RANGE_DEFAULT_COUNT 1048576U
#define UID_LOCK_DEFAULT_PATH	"/run/bulkhead/uid-range.lock"

struct uid_slot {
	int lock_fd; /* -1: no slot (not root) */
	uint32_t base;
	uint32_t next; /* offset of the id given out next, 1..UID_SLOT_IDS - 1 */
};

#define UID_SLOT_INIT                                                                              \
	{                                                                                          \
		.lock_fd = -1                                                                      \
	}

/*
 * Claim a free slot of [base, base + count). Creates the lock file (0600) and its folder when
 * needed. -EBUSY when all are taken.
 */
int uid_slot_claim(struct uid_slot *slot, const char *lock_path, uint32_t base, uint32_t count,
		   struct error *err);

/* An id for the next process: not used before in this VM until all have been. */
uint32_t uid_slot_next(struct uid_slot *slot);

/* Give the slot back. Accepts one that was never claimed. */
void uid_slot_release(struct uid_slot *slot);

#endif
