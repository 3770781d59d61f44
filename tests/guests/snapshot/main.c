/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest to take snapshots of. It keeps memory, disk, registers and clocks in states that follow
 * from the number of ticks, checks them at every tick, and prints
 *     TICK n checksum errors=E
 * where the checksum depends only on n and the options. Options:
 *   touch=MB        RAM to fill with the pattern (default 16); beyond the low RAM it goes on at 4
 * GiB dirty=PAGES     pages to rewrite a tick (default 16) dense=1         write every word of a
 * page, not every 64th interval_ms=N   time between ticks (default 100) ticks=N         end after
 * that many (default 0: never) smp=1           start the other CPUs; each wakes from its own timer
 * A byte on the serial port is answered: s status, v verify all memory and disk sectors, r eight
 * bytes of the entropy device, q end.
 */
#include <stddef.h>

#include "clock.h"
#include "cmdline.h"
#include "guest.h"
#include "print.h"
#include "serial.h"
#include "snapshot.h"

struct error_counts {
	uint64_t memory;
	uint64_t disk;
	uint64_t registers;
	uint64_t clocks;
};

static struct error_counts errors;
static uint64_t tick;
static uint64_t checksum;
static uint32_t other_cpus;
static bool has_disk;
static uint8_t command;

static uint64_t snapshot_error_sum(void)
{
	return errors.memory + errors.disk + errors.registers + errors.clocks;
}

static bool snapshot_has_input(void *argument)
{
	(void)argument;
	return serial_read_byte(&command);
}

static void snapshot_print_status(void)
{
	uint64_t smallest;
	uint64_t wakes = cpu_state_wakes(&smallest);

	print("STATUS tick=%lu checksum=%016lx errors=%lu pages=%lu disk=%u cpus=%u wakes=%lu "
	      "least=%lu uptime_us=%lu\n",
	      tick, checksum, snapshot_error_sum(), memory_state_page_count(), has_disk,
	      other_cpus + 1, wakes, smallest, clock_now_us());
}

static void snapshot_verify(void)
{
	uint64_t sum = 0;
	uint64_t bad_pages = memory_state_verify(tick, &sum);
	uint32_t bad_sectors = disk_state_verify(tick);

	errors.memory += bad_pages;
	errors.disk += bad_sectors;
	print("VERIFY tick=%lu checksum=%016lx bad_pages=%lu bad_sectors=%u\n", tick, sum,
	      bad_pages, bad_sectors);
}

static void snapshot_print_entropy(void)
{
	uint64_t value = 0;

	if (entropy_read(&value))
		print("RANDOM %016lx\n", value);
	else
		print("RANDOM none\n");
}

/* Returns false on the command to end. */
static bool snapshot_obey(void)
{
	switch (command) {
	case 's':
		snapshot_print_status();
		break;
	case 'v':
		snapshot_verify();
		break;
	case 'r':
		snapshot_print_entropy();
		break;
	case 'q':
		return false;
	default:
		break; /* line ends and the like */
	}
	return true;
}

static void snapshot_do_tick(void)
{
	tick++;
	errors.memory += memory_state_tick(tick, &checksum);
	errors.disk += disk_state_tick(tick);
	errors.registers += register_state_tick();
	errors.clocks += clock_state_tick();
	print("TICK %lu %016lx errors=%lu\n", tick, checksum, snapshot_error_sum());
}

/* Runs until the last tick or the command to end. */
static void snapshot_loop(void)
{
	uint64_t interval_us = cmdline_number("interval_ms", 100) * 1000;
	uint64_t last_tick = cmdline_number("ticks", 0);
	uint64_t next_us = clock_now_us();

	while (last_tick == 0 || tick < last_tick) {
		uint64_t now_us;

		snapshot_do_tick();
		/* After a pause the ticks go on from now; they are not made up for. */
		next_us += interval_us;
		now_us = clock_now_us();
		if (next_us < now_us)
			next_us = now_us;
		do {
			uint64_t left_us = next_us > now_us ? next_us - now_us : 0;

			if (clock_wait_until(snapshot_has_input, NULL, left_us) && !snapshot_obey())
				return;
			now_us = clock_now_us();
		} while (now_us < next_us);
	}
}

static void snapshot_report(void)
{
	test_check("memory_keeps_its_pattern", errors.memory == 0, "bad pages");
	test_check("disk_keeps_its_pattern", errors.disk == 0, "bad sectors or failed requests");
	test_check("registers_keep_their_values", errors.registers == 0, "values changed");
	test_check("clocks_never_go_back", errors.clocks == 0, "they did");
}

void guest_main(void)
{
	has_disk = disk_state_init();
	register_state_init();
	clock_state_init();
	if (cmdline_number("smp", 0) == 1)
		other_cpus = cpu_state_start();
	memory_state_init(cmdline_number("touch", 16), (uint32_t)cmdline_number("dirty", 16),
			  (uint32_t)cmdline_number("stride", 64));
	print("SNAPSHOT GUEST READY pages=%lu disk=%u cpus=%u\n", memory_state_page_count(),
	      has_disk, other_cpus + 1);
	snapshot_loop();
	snapshot_verify();
	snapshot_report();
}
