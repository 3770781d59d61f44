/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device on PCI, modern only (virtio 1.2, 4.1): the transport that the core emulates for
 * every worker. Register accesses are answered from the core's own copy; nothing waits for a
 * worker. What a worker has to do is started through struct virtio_backend_ops and finished by the
 * calls below.
 *
 * Locking: one mutex a device, held for register accesses and for the calls below; backend ops are
 * called with it held and must only post work to the loop thread. Never held across anything that
 * blocks.
 */
#ifndef BULKHEAD_VMM_CORE_PCI_VIRTIO_PCI_H
#define BULKHEAD_VMM_CORE_PCI_VIRTIO_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/error.h"
#include "vmm/core/kvm/vm.h"
#include "vmm/core/pci/pci_bus.h"

#define VIRTIO_PCI_MAX_QUEUES	    16
#define VIRTIO_PCI_MAX_CONFIG_SPACE 256

struct virtio_pci;

struct virtio_queue_setup {
	uint16_t index, size;
	uint64_t descriptor_area, driver_area, device_area;
	int kick_fd; /* eventfds, borrowed from the transport */
	int call_fd;
};

/* What the driver had negotiated when it set DRIVER_OK. */
struct virtio_activation {
	uint64_t features;
	unsigned queue_count; /* enabled ones */
	struct virtio_queue_setup queues[VIRTIO_PCI_MAX_QUEUES];
};

struct virtio_backend_ops {
	/* DRIVER_OK was set. The guest may kick at once; kicks wait in the eventfds. */
	void (*activate)(void *opaque, const struct virtio_activation *activation);
	/* Status 0 was written while active: answer with virtio_pci_reset_done(); until then the
	 * driver reads the old status. */
	void (*reset)(void *opaque);
};

struct virtio_pci_options {
	const char *id;		   /* copied */
	uint16_t virtio_device_id; /* 2 block, 3 console, 4 entropy, … */
	uint32_t class_code;	   /* 24 bits */
	uint64_t features; /* offered by the worker; VIRTIO_F_VERSION_1 must be among them */
	const uint8_t *config_space; /* copied */
	size_t config_space_bytes;
	unsigned queue_count;
	const uint16_t *queue_max_sizes;
};

/*
 * Create the device, plug it into slot `device` (0..31, or -1: first free) of bus. All eventfds are
 * made here, so that the core needs no new fd later. NULL with err set on failure.
 */
struct virtio_pci *virtio_pci_new(const struct virtio_pci_options *options, struct kvm_vm *vm,
				  struct pci_bus *bus, int device,
				  const struct virtio_backend_ops *ops, void *opaque,
				  struct error *err);
void virtio_pci_destroy(
	struct virtio_pci *virtio); /* accepts NULL; vCPUs stopped or device unplugged */

unsigned virtio_pci_slot(const struct virtio_pci *virtio);

/* The backend finished a reset: the driver may see status 0 now. Any thread. */
void virtio_pci_reset_done(struct virtio_pci *virtio);

/* New config space from the worker: generation counts up, the driver gets its configuration
 * interrupt. */
void virtio_pci_set_config_space(struct virtio_pci *virtio, const uint8_t *bytes,
				 size_t length_bytes);

/* DEVICE_NEEDS_RESET (virtio 1.2, 2.1.2) and a configuration interrupt. Idempotent. */
void virtio_pci_set_needs_reset(struct virtio_pci *virtio);

/* The whole machine is reset (vCPUs stopped): registers, MSI-X and BARs as after power-on. Does not
 * call the backend. */
void virtio_pci_power_on_reset(struct virtio_pci *virtio);

/* True and *activation filled when DRIVER_OK is set. */
bool virtio_pci_get_activation(struct virtio_pci *virtio, struct virtio_activation *activation);

/* Signal every queue in both directions (resume, restore, restarted worker): kicks and calls. */
void virtio_pci_kick_all(struct virtio_pci *virtio);

/*
 * Snapshot: pack the transport's registers, PCI config space, BARs, MSI-X table and pending bits
 * into a protobuf (proto/pci.proto, VirtioPciState), malloc'ed; and apply such a (hostile) blob to
 * a fresh device.
 */
int virtio_pci_save(struct virtio_pci *virtio, uint8_t **state, size_t *state_bytes,
		    struct error *err);
int virtio_pci_restore(struct virtio_pci *virtio, const uint8_t *state, size_t state_bytes,
		       struct error *err);

#endif
