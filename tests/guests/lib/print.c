/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"
#include "serial.h"
#include "string.h"

struct conversion {
	unsigned int width;
	bool zero_padded;
	bool is_long;
};

/* 1 while a CPU prints: output of the CPUs must not interleave within a call. */
static volatile uint32_t print_lock;

static void print_lock_acquire(void)
{
	uint32_t taken = 1;

	for (;;) {
		__asm__ volatile("xchgl %0, %1" : "+r"(taken), "+m"(print_lock) : : "memory");
		if (taken == 0) {
			return;
		}
		cpu_relax();
	}
}

static void print_lock_release(void)
{
	cpu_compiler_barrier();
	print_lock = 0;
}

void print_break_lock(void)
{
	print_lock_release();
}

static void print_char(char c)
{
	serial_write_byte((uint8_t)c);
}

static void print_padded(const char *text, size_t length, const struct conversion *conversion)
{
	for (size_t i = length; i < conversion->width; i++) {
		print_char(conversion->zero_padded ? '0' : ' ');
	}
	for (size_t i = 0; i < length; i++) {
		print_char(text[i]);
	}
}

static void print_number(uint64_t value, unsigned int base, bool negative,
			 const struct conversion *conversion)
{
	char text[24];
	size_t position = sizeof(text);

	do {
		text[--position] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (negative) {
		text[--position] = '-';
	}
	print_padded(text + position, sizeof(text) - position, conversion);
}

static const char *print_parse_conversion(const char *format, struct conversion *conversion)
{
	conversion->zero_padded = *format == '0';
	conversion->width = 0;
	conversion->is_long = false;
	while (*format >= '0' && *format <= '9') {
		conversion->width = conversion->width * 10 + (unsigned int)(*format++ - '0');
	}
	while (*format == 'l' || *format == 'z') {
		conversion->is_long = true;
		format++;
	}
	return format;
}

void print_args(const char *format, va_list arguments)
{
	struct conversion conversion;

	for (; *format != '\0'; format++) {
		if (*format != '%') {
			print_char(*format);
			continue;
		}
		format = print_parse_conversion(format + 1, &conversion);
		switch (*format) {
		case 's': {
			const char *text = va_arg(arguments, const char *);
			print_padded(text, strlen(text), &conversion);
			break;
		}
		case 'c':
			print_char((char)va_arg(arguments, int));
			break;
		case 'd': {
			int64_t value = conversion.is_long ? va_arg(arguments, int64_t)
							   : va_arg(arguments, int);
			uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
			print_number(magnitude, 10, value < 0, &conversion);
			break;
		}
		case 'u':
		case 'x': {
			uint64_t value = conversion.is_long ? va_arg(arguments, uint64_t)
							    : va_arg(arguments, unsigned int);
			print_number(value, *format == 'x' ? 16 : 10, false, &conversion);
			break;
		}
		case '\0':
			return;
		default:
			print_char(*format);
		}
	}
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_lock_acquire();
	print_args(format, arguments);
	print_lock_release();
	va_end(arguments);
}
