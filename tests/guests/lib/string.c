/* SPDX-License-Identifier: Apache-2.0 */
#include "string.h"

#include <stdint.h>

void *memcpy(void *destination, const void *source, size_t size_bytes)
{
	void *to = destination;
	size_t words = size_bytes / 8;
	size_t rest = size_bytes % 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(source), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(rest) : : "memory");
	return destination;
}

void *memmove(void *destination, const void *source, size_t size_bytes)
{
	unsigned char *to = destination;
	const unsigned char *from = source;

	if (to <= from || to >= from + size_bytes) {
		return memcpy(destination, source, size_bytes);
	}
	while (size_bytes > 0) {
		size_bytes--;
		((volatile unsigned char *)to)[size_bytes] = from[size_bytes];
	}
	return destination;
}

void *memset(void *destination, int value, size_t size_bytes)
{
	void *to = destination;
	uint64_t pattern = 0x0101010101010101ull * (unsigned char)value;
	size_t words = size_bytes / 8;
	size_t rest = size_bytes % 8;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
	return destination;
}

int memcmp(const void *left, const void *right, size_t size_bytes)
{
	const unsigned char *a = left;
	const unsigned char *b = right;

	for (size_t i = 0; i < size_bytes; i++) {
		if (a[i] != b[i]) {
			return a[i] < b[i] ? -1 : 1;
		}
	}
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (((const volatile char *)text)[length] != '\0') {
		length++;
	}
	return length;
}

bool string_equals(const char *left, const char *right)
{
	while (*left != '\0' && *left == *right) {
		left++;
		right++;
	}
	return *left == *right;
}

bool string_starts_with(const char *text, const char *prefix)
{
	while (*prefix != '\0') {
		if (*text++ != *prefix++) {
			return false;
		}
	}
	return true;
}
