/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame every guest runs in. guest_start() (from entry.S) prepares the machine, calls the
 * guest's own guest_main() and closes with the result line and power-off.
 *
 * Result protocol on the serial port: one line "TEST name: ok" or "TEST name: FAIL reason" for
 * each check, "TEST name: skip reason" for what the machine does not offer, and the last line
 * "GUEST DONE pass=N fail=M".
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* Written by each guest. */
void guest_main(void);

/* Entry from assembly; gpa of the hvm_start_info. */
void guest_start(uint32_t start_info_gpa) __attribute__((noreturn));

/* Reports one check. BSP only. */
void test_ok(const char *name);
void test_fail(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void test_skip(const char *name, const char *reason);

/* Reports ok if condition holds, else FAIL with reason. Returns condition. */
bool test_check(const char *name, bool condition, const char *reason);

/* How many checks have failed so far. */
uint32_t test_fail_count(void);

/* Prints "GUEST DONE" and powers off. */
void guest_finish(void) __attribute__((noreturn));

/* A failed check named "panic", then guest_finish(). */
void guest_panic(const char *reason) __attribute__((noreturn));

#endif
