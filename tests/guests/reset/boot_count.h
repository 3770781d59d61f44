/* SPDX-License-Identifier: Apache-2.0 */
/* A number that outlives a reset of the machine. */
#ifndef GUEST_BOOT_COUNT_H
#define GUEST_BOOT_COUNT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Adds one to the stored number (1 if there is none yet) and returns it in *boot. Returns NULL, or
 * what failed.
 */
const char *boot_count_next(bool on_disk, uint32_t *boot);

/* Forgets the number. */
void boot_count_clear(bool on_disk);

#endif
