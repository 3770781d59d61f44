/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal that is put into raw mode for a guest and back again. */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_TERMINAL_H
#define BULKHEAD_VMM_CORE_PLATFORM_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

struct terminal {
	int fd; /* borrowed; -1: nothing to put back */
	struct termios saved;
};

/*
 * Set fd raw, but for the translation of newlines on output that our own messages need. Does
 * nothing when fd is no terminal, or not ours to change because we run in its background.
 */
void terminal_set_raw(struct terminal *terminal, int fd);

/* Undo. Idempotent. */
void terminal_restore(struct terminal *terminal);

#endif
