/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of the machine that are not on PCI and not in KVM, put together on their buses:
 * serial port, keyboard controller, real-time clock, ACPI hardware, PCI hot-plug registers, panic
 * and debug ports.
 */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_PLATFORM_H
#define BULKHEAD_VMM_CORE_PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "ipc/error.h"
#include "vmm/core/platform/bus.h"
#include "vmm/core/platform/serial_backend.h"

struct platform;

struct platform_options {
	uv_loop_t *loop;				     /* drives the serial port's backend */
	uint64_t ram_below_hole_bytes, ram_above_hole_bytes; /* for CMOS; may be 0 */
	bool no_serial; /* no UART at all, instead of a silent one */

	/* Any thread, with a device's lock held: must not block. */
	void (*set_irq)(void *opaque, uint32_t gsi, bool level);

	/* The guest did this. On a vCPU thread, inside a bus access: must only post. */
	void (*power_off)(void *opaque);
	void (*reset)(void *opaque);
	void (*panic)(void *opaque);			/* may be NULL */
	void (*pci_eject)(void *opaque, unsigned slot); /* the device may be removed; may be NULL */
	void *opaque;
};

/* NULL with err set on failure. Both buses outlive it. Loop thread. */
struct platform *platform_new(struct bus *pio, struct bus *mmio,
			      const struct platform_options *options, struct error *err);

/*
 * Take the devices off their buses and free them; vCPUs are stopped. The loop has to run once more
 * before it is closed: the serial backend's handles are closing. Accepts NULL.
 */
void platform_destroy(struct platform *platform);

/*
 * Connect the serial port with fds, borrowed until platform_destroy(). Without it, output is
 * dropped. -EINVAL: there is a backend already, or no serial port. Loop thread.
 */
int platform_attach_serial(struct platform *platform, const struct serial_backend_options *options,
			   struct error *err);

/* Power-on state of all devices; vCPUs stopped. */
void platform_reset(struct platform *platform);

/* Any thread. */
void platform_power_button(struct platform *platform);
void platform_notify_vmgenid(struct platform *platform); /* after a new id was written */
void platform_pci_plugged(struct platform *platform, unsigned slot);
void platform_pci_request_unplug(struct platform *platform, unsigned slot);

/*
 * Snapshot: pack the state of all devices (proto/platform.proto), malloc'ed; and apply such a
 * (hostile) blob. -EBADMSG: not such a message; -EINVAL: a value out of range. After a failed
 * restore some devices may have their new state: the platform is good for destruction only. vCPUs
 * stopped.
 */
int platform_save(struct platform *platform, uint8_t **state, size_t *state_bytes,
		  struct error *err);
int platform_restore(struct platform *platform, const uint8_t *state, size_t state_bytes,
		     struct error *err);

#endif
