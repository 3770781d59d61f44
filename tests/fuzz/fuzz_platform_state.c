/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of the platform's devices: the input is the blob. A platform that took it goes on (its
 * registers can be read and written), and what it saves then must be restorable.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "vmm/core/platform/bus.h"
#include "vmm/core/platform/platform.h"

#define FIRST_PORTS 0x1000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore_irq(void *opaque, uint32_t gsi, bool level)
{
	(void)opaque;
	(void)gsi;
	(void)level;
}

static void ignore(void *opaque)
{
	(void)opaque;
}

static struct platform *make_platform(uv_loop_t *loop, struct bus *pio, struct bus *mmio)
{
	struct platform_options options = {
		.loop = loop,
		.ram_below_hole_bytes = 128 << 20,
		.set_irq = ignore_irq,
		.power_off = ignore,
		.reset = ignore,
	};
	struct error err = ERROR_INIT;
	struct platform *platform = platform_new(pio, mmio, &options, &err);

	if (!platform)
		abort();
	return platform;
}

/* As a guest that goes on would. */
static void touch_ports(struct bus *pio)
{
	for (uint64_t port = 0; port < FIRST_PORTS; port++) {
		uint8_t byte = 0;

		(void)bus_read(pio, port, &byte, 1);
		(void)bus_write(pio, port, &byte, 1);
	}
}

static void check_again(struct platform *platform)
{
	struct error err = ERROR_INIT;
	uint8_t *state;
	size_t bytes;

	if (platform_save(platform, &state, &bytes, &err) < 0 ||
	    platform_restore(platform, state, bytes, &err) < 0)
		abort();
	free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bus *pio = bus_new("pio"), *mmio = bus_new("mmio");
	struct platform *platform;
	struct error err = ERROR_INIT;
	uv_loop_t loop;

	if (!pio || !mmio || uv_loop_init(&loop) < 0)
		abort();
	platform = make_platform(&loop, pio, mmio);
	if (platform_restore(platform, data, size, &err) == 0) {
		check_again(platform);
		touch_ports(pio);
		check_again(platform);
	} else if (err.code >= 0 || !err.message[0]) {
		abort();
	}
	platform_destroy(platform);
	uv_run(&loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop) < 0)
		abort();
	bus_destroy(pio);
	bus_destroy(mmio);
	return 0;
}
