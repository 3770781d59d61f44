/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the virtio-pci transport share: the device, its registers and the layout of its
 * BAR. Everything here is under device.mutex unless it says otherwise.
 *
 * BAR 0, a page for each structure:
 *   0x0000 common configuration     0x3000 notifications, 4 bytes a queue
 *   0x1000 interrupt status         0x4000 MSI-X table
 *   0x2000 device configuration     0x5000 MSI-X pending bits
 */
#ifndef BULKHEAD_VMM_CORE_PCI_VIRTIO_TRANSPORT_H
#define BULKHEAD_VMM_CORE_PCI_VIRTIO_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/core/pci/msix.h"
#include "vmm/core/pci/pci_device.h"
#include "vmm/core/pci/virtio_pci.h"

#define VIRTIO_BAR_COMMON     0x0000U
#define VIRTIO_BAR_ISR	      0x1000U
#define VIRTIO_BAR_DEVICE     0x2000U
#define VIRTIO_BAR_NOTIFY     0x3000U
#define VIRTIO_BAR_MSIX_TABLE 0x4000U
#define VIRTIO_BAR_MSIX_PBA   0x5000U
#define VIRTIO_BAR_SIZE	      0x8000U

#define VIRTIO_NOTIFY_MULTIPLIER 4
#define VIRTIO_COMMON_BYTES	 56
#define VIRTIO_ID_SIZE		 64

/* Features of the transport itself that this one does not have (virtio 1.2, 6): SR-IOV, extra data
 * in notifications, reset of single queues, administration queues. */
#define VIRTIO_UNSUPPORTED_FEATURES (1ULL << 37 | 1ULL << 38 | 1ULL << 39 | 1ULL << 40 | 1ULL << 41)

struct virtio_queue_registers {
	uint16_t size;
	uint16_t vector;
	bool enabled;
	uint64_t descriptor_area, driver_area, device_area;
};

/*
 * What a virtio reset clears. device_status goes
 *   0 -> ACKNOWLEDGE, DRIVER -> FEATURES_OK (only with acceptable features) -> DRIVER_OK (only
 * after FEATURES_OK: the backend is activated) -> 0 (through the backend's reset when it was
 * active) and gains NEEDS_RESET at any time.
 */
struct virtio_registers {
	uint8_t status;
	uint8_t isr;
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features;
	uint16_t config_vector;
	uint16_t queue_select;
	struct virtio_queue_registers queues[VIRTIO_PCI_MAX_QUEUES];
};

struct virtio_notifier {
	bool assigned; /* an ioeventfd of KVM's */
	unsigned length_bytes;
	uint64_t gpa;
};

struct virtio_pci {
	struct pci_device device; /* first: its callbacks get a pointer to it */
	char id[VIRTIO_ID_SIZE];
	struct kvm_vm *vm;
	const struct virtio_backend_ops *ops;
	void *opaque;
	uint16_t virtio_device_id;
	uint64_t features;
	uint8_t config_space[VIRTIO_PCI_MAX_CONFIG_SPACE];
	unsigned config_space_bytes;
	uint8_t config_generation;
	unsigned queue_count;
	uint16_t queue_max_sizes[VIRTIO_PCI_MAX_QUEUES];
	int kick_fds[VIRTIO_PCI_MAX_QUEUES];
	struct virtio_notifier notifiers[VIRTIO_PCI_MAX_QUEUES]; /* under the placement lock */
	struct msix msix;	  /* source i: queue i; source queue_count: configuration */
	unsigned msix_capability; /* offsets in config space */
	unsigned pci_access_capability;
	struct virtio_registers registers;
	bool resetting; /* the backend was asked; the driver still reads the old status */
};

/* Registers as a virtio reset leaves them. */
void virtio_registers_reset(const struct virtio_pci *virtio, struct virtio_registers *registers);

/* Reset the device's own registers, with the vectors and pending interrupts that belong to them. */
void virtio_transport_reset(struct virtio_pci *virtio);

/* The driver reset the device, or had features or DRIVER_OK accepted: virtio_status.c. */
void virtio_status_write(struct virtio_pci *virtio, uint8_t status);
bool virtio_features_acceptable(const struct virtio_pci *virtio, uint64_t driver_features);
void virtio_activation_fill(const struct virtio_pci *virtio, struct virtio_activation *activation);

/* Tell the driver that the configuration or NEEDS_RESET changed, when it is listening. */
void virtio_config_interrupt(struct virtio_pci *virtio);

/* virtio 1.2, 4.1.4.3. Any length and alignment. */
void virtio_common_read(const struct virtio_pci *virtio, unsigned offset, uint8_t *data,
			unsigned length_bytes);
void virtio_common_write(struct virtio_pci *virtio, unsigned offset, const uint8_t *data,
			 unsigned length_bytes);
bool virtio_queue_size_valid(const struct virtio_pci *virtio, unsigned queue, uint64_t size);
void virtio_bind_vectors(struct virtio_pci *virtio);

/* Accesses to BAR 0. */
void virtio_bar_read(struct virtio_pci *virtio, uint64_t offset, uint8_t *data,
		     unsigned length_bytes);
void virtio_bar_write(struct virtio_pci *virtio, uint64_t offset, const uint8_t *data,
		      unsigned length_bytes);
extern const struct bus_device_ops virtio_bar_ops; /* opaque: struct virtio_pci */

/* Config space: capabilities, and what happens when the driver uses them. */
int virtio_capabilities_add(struct virtio_pci *virtio, struct error *err);
void virtio_config_reading(struct pci_device *device, unsigned offset, unsigned length_bytes);
void virtio_config_written(struct pci_device *device, unsigned offset, unsigned length_bytes);
void virtio_msix_control_changed(struct virtio_pci *virtio);

/* Queue notifications: ioeventfds while BAR 0 decodes (placement lock), and by hand. */
void virtio_notify_mapped(struct pci_device *device, unsigned index, uint64_t gpa);
void virtio_notify_unmapping(struct pci_device *device, unsigned index);
void virtio_notify_signal(const struct virtio_pci *virtio, unsigned queue);
void virtio_notify_drain(const struct virtio_pci *virtio, unsigned queue);

#endif
