/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restarts the machine a few times, then powers off. Options:
 *   reset=i8042|acpi|triple|none   how (default i8042; none powers off in the first boot)
 *   boots=N                        in which boot to stop (default 2)
 *   count=memory|disk              where the boot number is kept (default memory): in a page of RAM
 *                                  outside the image, for machines that keep RAM over a reset, or
 *                                  in the last sector of the first disk
 */
#include <stddef.h>

#include "boot_count.h"
#include "cmdline.h"
#include "guest.h"
#include "interrupt.h"
#include "power.h"
#include "print.h"

static void reset_machine(void)
{
	if (cmdline_is("reset", "acpi"))
		power_reset_acpi();
	else if (cmdline_is("reset", "triple"))
		interrupt_triple_fault();
	else
		power_reset_i8042();
	test_fail("machine_resets", "it goes on running");
}

void guest_main(void)
{
	uint64_t last_boot = cmdline_number("boots", 2);
	uint32_t boot = 0;
	const char *problem = boot_count_next(cmdline_is("count", "disk"), &boot);

	if (problem != NULL) {
		test_fail("boot_count_is_kept", "%s", problem);
		return;
	}
	print("BOOT %u\n", boot);
	if (boot < last_boot && !cmdline_is("reset", "none")) {
		reset_machine();
		return;
	}
	test_ok("machine_resets");
	boot_count_clear(cmdline_is("count", "disk"));
}
