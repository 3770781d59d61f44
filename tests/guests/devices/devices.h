/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the devices guest: each function runs the checks of one device or one concern. */
#ifndef GUEST_DEVICES_H
#define GUEST_DEVICES_H

#include <stdint.h>

#include "pci.h"
#include "virtio_pci.h"

/* ACPI tables and PCI configuration space. */
void devices_check_platform(const struct pci_bus *bus);

/* One probed virtio device of that type; index counts devices of the type. */
void devices_check_blk(const struct virtio_device *device, uint32_t index);
void devices_check_rng(const struct virtio_device *device, uint32_t index);
void devices_check_console(const struct virtio_device *device, uint32_t index);

/* What every virtio device must do whatever its type. Leaves the device reset. */
void devices_check_transport(struct virtio_device *device, const char *prefix);

/* "prefix.check" in a static buffer, for test names. */
const char *devices_name(const char *prefix, const char *check);

#endif
