/* SPDX-License-Identifier: Apache-2.0 */
#include "smp.h"

#include <stddef.h>

#include "boot_info.h"
#include "clock.h"
#include "cpu.h"
#include "interrupt.h"
#include "lapic.h"
#include "page_alloc.h"
#include "string.h"

#define TRAMPOLINE_GPA	 0x8000u
#define STACK_PAGES	 4
#define INIT_DELAY_US	 1000
#define STARTUP_RETRY_US 20000
#define STARTUP_LIMIT_US 1000000

extern char trampoline_start[];
extern char trampoline_end[];

/* Hand-over to the one CPU that is being started; the names are known to trampoline.S. */
extern uint64_t smp_ap_stack_top;
void smp_ap_start(void);
uint64_t smp_ap_stack_top;

static smp_function *ap_function;
static uint32_t ap_index;
static volatile uint32_t ap_running;

void smp_ap_start(void)
{
	smp_function *function = ap_function;
	uint32_t index = ap_index;

	interrupt_load_table();
	lapic_init();
	cpu_compiler_barrier();
	ap_running = 1; /* from here on the BSP may reuse the hand-over variables */
	function(index);
	cpu_halt_forever();
}

static bool smp_wait_running(uint64_t timeout_us)
{
	uint64_t end = clock_now_us() + timeout_us;

	while (!ap_running && clock_now_us() < end)
		cpu_relax();
	return ap_running;
}

bool smp_start_cpu(uint8_t apic_id, uint32_t cpu_index, smp_function *function)
{
	char *stack = page_alloc_unzeroed(STACK_PAGES);

	if (!boot_info_is_ram(TRAMPOLINE_GPA, PAGE_SIZE_BYTES))
		return false;
	memcpy((void *)(uintptr_t)TRAMPOLINE_GPA, trampoline_start,
	       (size_t)(trampoline_end - trampoline_start));
	smp_ap_stack_top = (uintptr_t)stack + (uint64_t)STACK_PAGES * PAGE_SIZE_BYTES;
	ap_function = function;
	ap_index = cpu_index;
	ap_running = 0;
	cpu_full_barrier();
	lapic_send_init(apic_id);
	clock_delay_us(INIT_DELAY_US);
	lapic_send_startup(apic_id, TRAMPOLINE_GPA >> 12);
	if (smp_wait_running(STARTUP_RETRY_US))
		return true;
	lapic_send_startup(apic_id, TRAMPOLINE_GPA >> 12);
	return smp_wait_running(STARTUP_LIMIT_US);
}
