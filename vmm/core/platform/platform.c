/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/unpack.h"
#include "proto/platform.pb-c.h"
#include "vmm/core/platform/acpi_pm.h"
#include "vmm/core/platform/cmos.h"
#include "vmm/core/platform/i8042.h"
#include "vmm/core/platform/memory_map.h"
#include "vmm/core/platform/pci_hotplug.h"
#include "vmm/core/platform/pvpanic.h"
#include "vmm/core/platform/serial.h"

#define MAX_PORT_RANGES 16

struct platform {
	struct bus *pio;
	uv_loop_t *loop;
	struct serial *serial; /* NULL with no_serial */
	struct serial_backend *backend;
	struct i8042 *i8042;
	struct cmos *cmos;
	struct acpi_pm *acpi_pm;
	struct pci_hotplug *pci_hotplug;
	struct pvpanic pvpanic;
	uint64_t ports[MAX_PORT_RANGES]; /* registered, to be taken off again */
	unsigned port_count;
};

/* Power-on self-test codes and I/O delays go here: nothing to do, and nothing to report. */
static void debug_port_on_read(void *opaque, uint64_t offset, uint8_t *data, unsigned length_bytes)
{
	(void)opaque;
	(void)offset;
	memset(data, 0, length_bytes);
}

static void debug_port_on_write(void *opaque, uint64_t offset, const uint8_t *data,
				unsigned length_bytes)
{
	(void)opaque;
	(void)offset;
	(void)data;
	(void)length_bytes;
}

static const struct bus_device_ops debug_port_ops = {
	.name = "debug port",
	.read = debug_port_on_read,
	.write = debug_port_on_write,
};

static int platform_create_devices(struct platform *platform,
				   const struct platform_options *options)
{
	struct irq_line line = {.set = options->set_irq, .opaque = options->opaque};
	struct cmos_options cmos = {
		.ram_below_hole_bytes = options->ram_below_hole_bytes,
		.ram_above_hole_bytes = options->ram_above_hole_bytes,
	};
	struct acpi_pm_options acpi_pm = {
		.power_off = options->power_off,
		.reset = options->reset,
		.opaque = options->opaque,
	};

	line.gsi = GSI_COM1;
	if (!options->no_serial)
		platform->serial = serial_new(&line);
	line.gsi = GSI_ACPI_SCI;
	acpi_pm.sci = line;
	platform->acpi_pm = acpi_pm_new(&acpi_pm);
	platform->cmos = cmos_new(&cmos);
	platform->i8042 = i8042_new(options->reset, options->opaque);
	platform->pci_hotplug = pci_hotplug_new(options->pci_eject, options->opaque);
	platform->pvpanic = (struct pvpanic){options->panic, options->opaque};
	if ((!platform->serial && !options->no_serial) || !platform->acpi_pm || !platform->cmos ||
	    !platform->i8042 || !platform->pci_hotplug)
		return -ENOMEM;
	return 0;
}

static int platform_add_port(struct platform *platform, uint64_t base, uint64_t size_bytes,
			     const struct bus_device_ops *ops, void *opaque, struct error *err)
{
	int result = bus_add(platform->pio, base, size_bytes, ops, opaque, err);

	if (result == 0)
		platform->ports[platform->port_count++] = base;
	return result;
}

static int platform_add_ports(struct platform *platform, struct error *err)
{
	struct acpi_pm *pm = platform->acpi_pm;
	struct i8042 *i8042 = platform->i8042;
	const struct {
		uint64_t base, size_bytes;
		const struct bus_device_ops *ops;
		void *opaque;
	} ranges[] = {
		{PORT_COM1, SERIAL_PORT_BYTES, &serial_ops, platform->serial},
		{PORT_I8042_DATA, 1, &i8042_data_ops, i8042},
		{PORT_I8042_COMMAND, 1, &i8042_command_ops, i8042},
		{PORT_CMOS_INDEX, CMOS_PORT_BYTES, &cmos_ops, platform->cmos},
		{PORT_ACPI_PM1_EVENT, ACPI_PM_FIXED_BYTES, &acpi_pm_fixed_ops, pm},
		{PORT_ACPI_GPE0, ACPI_PM_GPE0_BYTES, &acpi_pm_gpe0_ops, pm},
		{PORT_ACPI_RESET, 1, &acpi_pm_reset_ops, pm},
		{PORT_PCI_HOTPLUG, PCI_HOTPLUG_BYTES, &pci_hotplug_ops, platform->pci_hotplug},
		{PORT_PVPANIC, 1, &pvpanic_ops, &platform->pvpanic},
		{PORT_DEBUG, 1, &debug_port_ops, platform},
	};
	int result = 0;

	_Static_assert(sizeof(ranges) / sizeof(ranges[0]) <= MAX_PORT_RANGES, "room to note them");
	for (size_t i = 0; result == 0 && i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (ranges[i].opaque)
			result = platform_add_port(platform, ranges[i].base, ranges[i].size_bytes,
						   ranges[i].ops, ranges[i].opaque, err);
	return result;
}

struct platform *platform_new(struct bus *pio, struct bus *mmio,
			      const struct platform_options *options, struct error *err)
{
	struct platform *platform = calloc(1, sizeof(*platform));
	int result;

	(void)mmio; /* a PC has none of these devices there; other architectures have all of them */
	if (!platform) {
		error_set(err, -ENOMEM, "platform: out of memory");
		return NULL;
	}
	platform->pio = pio;
	platform->loop = options->loop;
	result = platform_create_devices(platform, options);
	if (result < 0)
		error_set(err, result, "platform: out of memory");
	else
		result = platform_add_ports(platform, err);
	if (result < 0) {
		platform_destroy(platform);
		return NULL;
	}
	return platform;
}

void platform_destroy(struct platform *platform)
{
	if (!platform)
		return;
	for (unsigned i = 0; i < platform->port_count; i++)
		(void)bus_remove(platform->pio, platform->ports[i]);
	serial_backend_destroy(platform->backend);
	serial_destroy(platform->serial);
	i8042_destroy(platform->i8042);
	cmos_destroy(platform->cmos);
	acpi_pm_destroy(platform->acpi_pm);
	pci_hotplug_destroy(platform->pci_hotplug);
	free(platform);
}

int platform_attach_serial(struct platform *platform, const struct serial_backend_options *options,
			   struct error *err)
{
	if (!platform->serial || platform->backend)
		return error_set(err, -EINVAL, "serial port: %s",
				 platform->serial ? "connected already" : "there is none");
	platform->backend = serial_backend_new(platform->loop, platform->serial, options, err);
	if (!platform->backend)
		return err ? err->code : -EIO;
	return 0;
}

void platform_reset(struct platform *platform)
{
	if (platform->serial)
		serial_reset(platform->serial);
	i8042_reset(platform->i8042);
	cmos_reset(platform->cmos);
	acpi_pm_reset(platform->acpi_pm);
	pci_hotplug_reset(platform->pci_hotplug);
}

void platform_power_button(struct platform *platform)
{
	acpi_pm_power_button(platform->acpi_pm);
}

void platform_notify_vmgenid(struct platform *platform)
{
	acpi_pm_notify_gpe(platform->acpi_pm, GPE_VMGENID);
}

void platform_pci_plugged(struct platform *platform, unsigned slot)
{
	pci_hotplug_set_plugged(platform->pci_hotplug, slot);
	acpi_pm_notify_gpe(platform->acpi_pm, GPE_PCI_HOTPLUG);
}

void platform_pci_request_unplug(struct platform *platform, unsigned slot)
{
	pci_hotplug_set_unplug_wanted(platform->pci_hotplug, slot);
	acpi_pm_notify_gpe(platform->acpi_pm, GPE_PCI_HOTPLUG);
}

/* ---- snapshots ---- */

static int pack(const Bulkhead__Platform__State *message, uint8_t **state, size_t *state_bytes)
{
	*state_bytes = bulkhead__platform__state__get_packed_size(message);
	*state = malloc(*state_bytes + 1); /* never of size 0 */
	if (!*state)
		return -ENOMEM;
	bulkhead__platform__state__pack(message, *state);
	return 0;
}

int platform_save(struct platform *platform, uint8_t **state, size_t *state_bytes,
		  struct error *err)
{
	Bulkhead__Platform__State message = BULKHEAD__PLATFORM__STATE__INIT;
	Bulkhead__Platform__Serial serial = BULKHEAD__PLATFORM__SERIAL__INIT;
	Bulkhead__Platform__I8042 i8042 = BULKHEAD__PLATFORM__I8042__INIT;
	Bulkhead__Platform__Cmos cmos = BULKHEAD__PLATFORM__CMOS__INIT;
	Bulkhead__Platform__AcpiPm acpi_pm = BULKHEAD__PLATFORM__ACPI_PM__INIT;
	Bulkhead__Platform__PciHotplug pci_hotplug = BULKHEAD__PLATFORM__PCI_HOTPLUG__INIT;
	uint8_t serial_bytes[SERIAL_STATE_BYTES];
	uint8_t registers[CMOS_REGISTER_COUNT];

	if (platform->serial) {
		serial_save(platform->serial, &serial, serial_bytes);
		message.serial = &serial;
	}
	i8042_save(platform->i8042, &i8042);
	cmos_save(platform->cmos, &cmos, registers);
	acpi_pm_save(platform->acpi_pm, &acpi_pm);
	pci_hotplug_save(platform->pci_hotplug, &pci_hotplug);
	message.i8042 = &i8042;
	message.cmos = &cmos;
	message.acpi_pm = &acpi_pm;
	message.pci_hotplug = &pci_hotplug;
	if (pack(&message, state, state_bytes) < 0)
		return error_set(err, -ENOMEM, "platform: out of memory");
	return 0;
}

static int apply(struct platform *platform, const Bulkhead__Platform__State *message,
		 struct error *err)
{
	int result = 0;

	if (message->serial && platform->serial)
		result = serial_restore(platform->serial, message->serial, err);
	if (result == 0 && message->i8042)
		result = i8042_restore(platform->i8042, message->i8042, err);
	if (result == 0 && message->cmos)
		result = cmos_restore(platform->cmos, message->cmos, err);
	if (result == 0 && message->acpi_pm)
		result = acpi_pm_restore(platform->acpi_pm, message->acpi_pm, err);
	if (result == 0 && message->pci_hotplug)
		result = pci_hotplug_restore(platform->pci_hotplug, message->pci_hotplug, err);
	return result;
}

int platform_restore(struct platform *platform, const uint8_t *state, size_t state_bytes,
		     struct error *err)
{
	ProtobufCMessage *message = NULL;
	int result;

	if (unpack_message(&bulkhead__platform__state__descriptor, state, state_bytes, &message,
			   err) < 0)
		return error_set(err, -EBADMSG, "platform: malformed state");
	result = apply(platform, (const Bulkhead__Platform__State *)message, err);
	protobuf_c_message_free_unpacked(message, NULL);
	return result;
}
