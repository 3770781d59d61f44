/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends in the way that the option crash= names:
 *   unsupported   executes an instruction that KVM's emulator does not know. Where guests run
 *                 natively the processor knows it, and the guest goes on to say so and powers off.
 *   panic         says by the panic port that its kernel panicked, then waits
 *   triple        triple fault
 */
#include "cmdline.h"
#include "cpu.h"
#include "guest.h"
#include "interrupt.h"
#include "port.h"
#include "print.h"

#define PORT_PVPANIC   0x505
#define EVENT_PANICKED 0x01

static void crash_unsupported(void)
{
	static uint64_t target[2] __attribute__((aligned(16)));

	__asm__ volatile("lock cmpxchg16b %0" : "+m"(target) : : "rax", "rbx", "rcx", "rdx", "cc");
	test_ok("the_instruction_is_known_here");
}

void guest_main(void)
{
	print("CRASH\n");
	if (cmdline_is("crash", "unsupported")) {
		crash_unsupported();
	} else if (cmdline_is("crash", "panic")) {
		port_write8(PORT_PVPANIC, EVENT_PANICKED);
		cpu_halt_forever();
	} else if (cmdline_is("crash", "triple")) {
		interrupt_triple_fault();
	} else {
		test_fail("crash", "crash= names none of the ways");
	}
}
