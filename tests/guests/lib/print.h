/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted output to the serial port. */
#ifndef GUEST_PRINT_H
#define GUEST_PRINT_H

#include <stdarg.h>

/*
 * Understands %s %c %d %u %x %% with an optional width, zero padding ("%08x") and the length
 * modifiers l, ll and z. Safe to call from several CPUs at once: one call is one piece of output.
 */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_args(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* Frees the output lock by force. Only for the exception path, which never returns. */
void print_break_lock(void);

#endif
