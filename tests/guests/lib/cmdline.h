/* SPDX-License-Identifier: Apache-2.0 */
/* Options on the guest's command line: words of the form name=value or name. */
#ifndef GUEST_CMDLINE_H
#define GUEST_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies the command line; anything past the internal 1 KiB is cut off. */
void cmdline_set(const char *text);

/* The whole command line. */
const char *cmdline_get(void);

/* True if the word "name" or "name=..." is there. */
bool cmdline_has(const char *name);

/* The number after name= (decimal, or hexadecimal with 0x), or fallback. */
uint64_t cmdline_number(const char *name, uint64_t fallback);

/* True if the word "name=value" is there. */
bool cmdline_is(const char *name, const char *value);

#endif
