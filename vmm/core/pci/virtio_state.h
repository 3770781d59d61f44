/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state of the transport: what is checked before any of it is used. The blob comes from a
 * snapshot file and is hostile.
 */
#ifndef BULKHEAD_VMM_CORE_PCI_VIRTIO_STATE_H
#define BULKHEAD_VMM_CORE_PCI_VIRTIO_STATE_H

#include "ipc/error.h"
#include "proto/pci.pb-c.h"

struct virtio_pci;

#define VIRTIO_STATE_VERSION   1
#define VIRTIO_STATE_MAX_BYTES 65536

/* Whether a state could have been saved from this device: 0, or -EINVAL with err naming the field.
 * Under the device's mutex. */
int virtio_state_check(const struct virtio_pci *virtio, const Bulkhead__Pci__VirtioPciState *state,
		       struct error *err);

#endif
