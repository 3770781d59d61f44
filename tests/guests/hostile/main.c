/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs the machine at random for a bounded number of operations. Whoever runs it watches that
 * the machine neither dies nor hangs: the guest prints "HOSTILE DONE ops=N" and powers off.
 * Options:
 *   seed=N ops=N                  the run (defaults 1 and 10000)
 *   mode=registers|rings          registers and ports (default), or malformed rings
 *   wait_us=N                     mode=rings: how long a device gets to answer each ring
 *   bridges=1                     also write to the configuration space of non-virtio devices
 *   extra_ports=N extra_count=N   more ports to write to
 *   narrow=1                      only byte accesses to ports that are made of bytes
 *   allow_reset=1                 sleep and reset triggers, too: the guest may end early
 *   trace=1                       print each operation's number and kind before it is done
 *   recover=0                     do not check that the devices work afterwards
 */
#include <stddef.h>

#include "boot_info.h"
#include "clock.h"
#include "cmdline.h"
#include "guest.h"
#include "hostile.h"
#include "interrupt.h"
#include "power.h"
#include "print.h"
#include "serial.h"
#include "string.h"

#define VECTOR_NMI     2
#define FILL_EVERY     2000
#define PROGRESS_EVERY 10000

struct operation_kind {
	const char *name;
	void (*run)(struct hostile *hostile);
};

static const struct operation_kind kinds[] = {
	{"config", config_operation}, {"virtio", virtio_operation}, {"virtio", virtio_operation},
	{"msix", msix_operation},     {"port", port_operation},
};

static struct hostile hostile;
static volatile uint32_t nmi_count;

/* A random MSI-X message may be an NMI. */
static void hostile_on_nmi(void *argument)
{
	(void)argument;
	nmi_count++;
}

static void hostile_find_devices(void)
{
	pci_scan(&hostile.bus);
	for (uint32_t i = 0; i < hostile.bus.device_count; i++) {
		struct virtio_device *device = &hostile.devices[hostile.device_count];

		if (hostile.device_count < HOSTILE_DEVICE_MAX &&
		    virtio_pci_probe(device, &hostile.bus, &hostile.bus.devices[i]) == NULL)
			hostile.device_count++;
	}
	acpi_read_fixed_hardware(&hostile.hardware);
}

static void hostile_read_options(void)
{
	hostile.allow_reset = cmdline_number("allow_reset", 0) == 1;
	hostile.bridges = cmdline_number("bridges", 0) == 1;
	hostile.narrow = cmdline_number("narrow", 0) == 1;
	hostile.trace = cmdline_number("trace", 0) == 1;
	hostile.extra_port = (uint16_t)cmdline_number("extra_ports", 0);
	hostile.extra_port_count = (uint16_t)cmdline_number("extra_count", 0);
	random_seed(cmdline_number("seed", 1));
}

/* Interrupts stay off all the time: their vectors are random, too. */
static void hostile_run_registers(uint64_t ops)
{
	for (uint64_t i = 0; i < ops; i++) {
		const struct operation_kind *kind =
			&kinds[random_below(sizeof(kinds) / sizeof(kinds[0]))];

		if (i % FILL_EVERY == 0)
			arena_fill();
		if (hostile.trace || (i > 0 && i % PROGRESS_EVERY == 0)) {
			serial_init();
			print("\nHOSTILE op=%lu %s\n", i, kind->name);
		}
		kind->run(&hostile);
	}
	serial_init();
}

void guest_main(void)
{
	uint64_t ops = cmdline_number("ops", 10000);

	if (!test_check("arena_is_ram", boot_info_is_ram(ARENA_GPA, ARENA_SIZE),
			"needs at least 32 MiB"))
		return;
	hostile_read_options();
	hostile_find_devices();
	power_prepare();
	clock_tsc_khz(); /* before the PIT and others are out of order */
	interrupt_set_handler(VECTOR_NMI, hostile_on_nmi, NULL);
	print("HOSTILE BEGIN seed=%lu ops=%lu devices=%u\n", cmdline_number("seed", 1), ops,
	      hostile.device_count);
	memset((void *)(uintptr_t)ARENA_GPA, 0, 0x40000);
	if (cmdline_is("mode", "rings"))
		rings_run(&hostile, ops);
	else
		hostile_run_registers(ops);
	print("\nHOSTILE DONE ops=%lu\n", ops);
	test_ok("guest_survives");
	if (cmdline_number("recover", 1) == 1)
		recovery_check(&hostile);
}
