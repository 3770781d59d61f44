/* SPDX-License-Identifier: Apache-2.0 */
/* Queue notifications (virtio 1.2, 4.1.4.4): ioeventfds that follow BAR 0, and kicks by hand. */
#include "vmm/core/pci/shared_eventfd.h"
#include "vmm/core/pci/virtio_transport.h"

static void virtio_notifier_assign(struct virtio_pci *virtio, unsigned queue, uint64_t gpa)
{
	/* Any length is what some hosts handle fastest; 2 is what drivers write. */
	static const unsigned lengths[] = {0, 2};
	struct virtio_notifier *notifier = &virtio->notifiers[queue];

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		if (kvm_ioeventfd_assign(virtio->vm, gpa, lengths[i], virtio->kick_fds[queue]) < 0)
			continue;
		notifier->assigned = true;
		notifier->length_bytes = lengths[i];
		notifier->gpa = gpa;
		return;
	}
	/* Without one, the write exits to virtio_bar_write(), which kicks. */
}

void virtio_notify_mapped(struct pci_device *device, unsigned index, uint64_t gpa)
{
	struct virtio_pci *virtio = (struct virtio_pci *)device;

	if (index != 0)
		return;
	for (unsigned i = 0; i < virtio->queue_count; i++)
		virtio_notifier_assign(virtio, i,
				       gpa + VIRTIO_BAR_NOTIFY +
					       (uint64_t)i * VIRTIO_NOTIFY_MULTIPLIER);
}

void virtio_notify_unmapping(struct pci_device *device, unsigned index)
{
	struct virtio_pci *virtio = (struct virtio_pci *)device;

	if (index != 0)
		return;
	for (unsigned i = 0; i < virtio->queue_count; i++) {
		struct virtio_notifier *notifier = &virtio->notifiers[i];

		if (notifier->assigned)
			(void)kvm_ioeventfd_deassign(virtio->vm, notifier->gpa,
						     notifier->length_bytes, virtio->kick_fds[i]);
		notifier->assigned = false;
	}
}

void virtio_notify_signal(const struct virtio_pci *virtio, unsigned queue)
{
	shared_eventfd_signal(virtio->kick_fds[queue]);
}

void virtio_notify_drain(const struct virtio_pci *virtio, unsigned queue)
{
	(void)shared_eventfd_drain(virtio->kick_fds[queue]);
}
