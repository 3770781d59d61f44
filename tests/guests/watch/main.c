/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks every device for something small, again and again, and says how it went:
 *   TICK 7 blk0=ok rng0=needs-reset console0=ok;
 * Options: ticks=N (then power off; default: never), interval_us=N (default 50000),
 * timeout_us=N for one answer (default 300000), start=0 (leave the devices alone).
 * Obeys letters that come on the serial port: q powers off, b restarts the machine, r resets and
 * starts again every device that is not well, and says RESET rng0 ms=31000 when each has ended;
 * other letters are echoed.
 */
#include <stddef.h>

#include "clock.h"
#include "cmdline.h"
#include "guest.h"
#include "power.h"
#include "print.h"
#include "serial.h"
#include "string.h"
#include "watch.h"

#define MAX_WATCHED    8
#define BYTES_A_TICK   64
#define RESET_LIMIT_US 120000000

struct watch {
	struct watched_device devices[MAX_WATCHED];
	uint32_t count;
	uint64_t timeout_us;
	bool quit, reset;
};

static struct pci_bus bus;
static struct watch watch;

static void watch_find(uint16_t type, const char *name)
{
	struct virtio_device device;

	for (uint32_t i = 0; watch.count < MAX_WATCHED && virtio_pci_find(&device, &bus, type, i);
	     i++) {
		struct watched_device *watched = &watch.devices[watch.count++];

		watched->name = name;
		watched->index = i;
		watched->type = type;
		*watched_virtio(watched) = device;
	}
}

static void watch_start(struct watched_device *watched)
{
	uint64_t begin = clock_now_us();

	while (!watched_start(watched)) {
		if (clock_now_us() - begin > RESET_LIMIT_US) {
			test_fail("reset_ends", "%s%u", watched->name, watched->index);
			return;
		}
	}
	print("RESET %s%u ms=%lu%s%s\n", watched->name, watched->index,
	      (clock_now_us() - begin) / 1000, watched->problem ? " " : "",
	      watched->problem ? watched->problem : "");
}

static void watch_obey(void)
{
	uint8_t byte;

	/* Where there is no port, there seems to be a byte always. */
	for (int i = 0; i < BYTES_A_TICK && serial_read_byte(&byte); i++) {
		if (byte == 'q') {
			watch.quit = true;
		} else if (byte == 'b') {
			power_reset_i8042();
		} else if (byte == 'r') {
			watch.reset = true;
		} else {
			serial_write_byte(byte);
		}
	}
}

static bool watch_never(void *argument)
{
	(void)argument;
	return false;
}

static void watch_tick(uint64_t number)
{
	const char *answers[MAX_WATCHED] = {NULL};

	for (uint32_t i = 0; i < watch.count; i++) {
		answers[i] = watched_ask(&watch.devices[i], watch.timeout_us);
	}
	print("TICK %lu", number);
	for (uint32_t i = 0; i < watch.count; i++) {
		print(" %s%u=%s", watch.devices[i].name, watch.devices[i].index, answers[i]);
	}
	print(";\n");
	for (uint32_t i = 0; watch.reset && i < watch.count; i++) {
		if (answers[i] != NULL && memcmp(answers[i], "ok", 3) != 0) {
			watch_start(&watch.devices[i]);
		}
	}
	watch.reset = false;
}

void guest_main(void)
{
	uint64_t ticks = cmdline_number("ticks", ~0ull);
	uint64_t interval_us = cmdline_number("interval_us", 50000);

	watch.timeout_us = cmdline_number("timeout_us", 300000);
	pci_scan(&bus);
	watch_find(VIRTIO_BLOCK, "blk");
	watch_find(VIRTIO_RNG, "rng");
	watch_find(VIRTIO_CONSOLE, "console");
	for (uint32_t i = 0; i < watch.count && cmdline_number("start", 1) == 1; i++) {
		watch_start(&watch.devices[i]);
	}
	print("READY\n");
	for (uint64_t tick = 0; tick < ticks && !watch.quit; tick++) {
		watch_tick(tick);
		clock_wait_until(watch_never, NULL, interval_us);
		watch_obey();
	}
	test_ok("watch");
}
