/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include "boot_info.h"
#include "interrupt.h"
#include "lapic.h"
#include "power.h"
#include "print.h"
#include "serial.h"

static uint32_t pass_count;
static uint32_t fail_count;

void test_ok(const char *name)
{
	pass_count++;
	print("TEST %s: ok\n", name);
}

void test_fail(const char *name, const char *format, ...)
{
	va_list arguments;

	fail_count++;
	print("TEST %s: FAIL ", name);
	va_start(arguments, format);
	print_args(format, arguments);
	va_end(arguments);
	print("\n");
}

void test_skip(const char *name, const char *reason)
{
	print("TEST %s: skip %s\n", name, reason);
}

bool test_check(const char *name, bool condition, const char *reason)
{
	if (condition) {
		test_ok(name);
	} else {
		test_fail(name, "%s", reason);
	}
	return condition;
}

uint32_t test_fail_count(void)
{
	return fail_count;
}

void guest_finish(void)
{
	print("GUEST DONE pass=%u fail=%u\n", pass_count, fail_count);
	power_off();
}

void guest_panic(const char *reason)
{
	test_fail("panic", "%s", reason);
	guest_finish();
}

void guest_start(uint32_t start_info_gpa)
{
	serial_init();
	boot_info_parse(start_info_gpa);
	interrupt_init();
	lapic_init();
	if (!boot_info_get()->magic_ok) {
		guest_panic("no hvm_start_info");
	}
	guest_main();
	guest_finish();
}
