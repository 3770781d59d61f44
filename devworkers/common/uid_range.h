/* SPDX-License-Identifier: Apache-2.0 */
/* The ids that a person lets the VMs of a host take: read by the core, used by the broker. */
#ifndef BULKHEAD_DEVWORKERS_COMMON_UID_RANGE_H
#define BULKHEAD_DEVWORKERS_COMMON_UID_RANGE_H

#include <stdint.h>

#include "ipc/error.h"

#define UID_RANGE_MIN_COUNT 64U /* what one VM takes */

/* "BASE:COUNT": enough for one VM, no id 0, no id (uint32_t)-1. 0, or -EINVAL or -ERANGE. */
int uid_range_parse(const char *text, uint32_t *base, uint32_t *count, struct error *err);

#endif
