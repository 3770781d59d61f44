/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of the virtio console (virtio 1.2, 5.3), one port, no multiport. */
#ifndef GUEST_VIRTIO_CONSOLE_H
#define GUEST_VIRTIO_CONSOLE_H

#include <stdint.h>

#include "virtio_pci.h"
#include "virtqueue.h"

#define CONSOLE_F_SIZE (1ull << 0)

struct virtio_console {
	struct virtio_device device;
	struct virtqueue receive;
	struct virtqueue transmit;
	char *receive_buffer; /* one page, always posted while the device runs */
};

/*
 * Resets and starts the (probed) device and posts the receive buffer; may be called again.
 * Returns NULL, or what failed.
 */
const char *console_start(struct virtio_console *console, uint64_t wanted_features);

/* Sends text and waits until the device has taken it. Returns NULL, or what failed. */
const char *console_write(struct virtio_console *console, const char *text, uint32_t size_bytes);

/*
 * Waits for input, copies at most size_bytes of it and posts the buffer again. Returns how many
 * bytes came, 0 on time-out, -1 if the device gave a wrong length.
 */
int console_read(struct virtio_console *console, char *text, uint32_t size_bytes,
		 uint64_t timeout_us);

/* Columns and rows from the configuration; zero if the device does not offer a size. */
void console_read_size(const struct virtio_console *console, uint16_t *columns, uint16_t *rows);

#endif
