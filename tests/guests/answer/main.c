/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmarks' guest that is saved and restored: touches memory, says "ready", and answers the
 * first byte on the serial port with "1". Whoever restores it sees by that when it runs again.
 */
#include "cmdline.h"
#include "cpu.h"
#include "guest.h"
#include "page_alloc.h"
#include "print.h"
#include "serial.h"

#define PAGES_PER_MIB  256
#define WORDS_PER_PAGE (PAGE_SIZE_BYTES / 8)

/* One word a page, not always the same: what is stored are whole pages, and none is all zeros. */
static void touch_memory(uint64_t mib)
{
	uint64_t pages = mib * PAGES_PER_MIB;
	uint64_t *page = page_alloc_unzeroed(pages);

	for (uint64_t i = 0; i < pages; i++, page += WORDS_PER_PAGE)
		page[i % WORDS_PER_PAGE] = ~i;
}

void guest_main(void)
{
	uint8_t byte;

	touch_memory(cmdline_number("touch", 0));
	print("ready\n");
	while (!serial_read_byte(&byte))
		cpu_relax();
	print("1");
	cpu_halt_forever();
}
