/* SPDX-License-Identifier: Apache-2.0 */
/* The few memory and string functions of the C library that guests (and the compiler) need. */
#ifndef GUEST_STRING_H
#define GUEST_STRING_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *destination, const void *source, size_t size_bytes);
void *memmove(void *destination, const void *source, size_t size_bytes);
void *memset(void *destination, int value, size_t size_bytes);
int memcmp(const void *left, const void *right, size_t size_bytes);
size_t strlen(const char *text);

/* True if the two zero-terminated strings are the same. */
bool string_equals(const char *left, const char *right);

/* True if text begins with prefix. */
bool string_starts_with(const char *text, const char *prefix);

#endif
