/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_console.h"

#include <stddef.h>

#include "mmio.h"
#include "page_alloc.h"
#include "string.h"

#define QUEUE_RECEIVE	   0
#define QUEUE_TRANSMIT	   1
#define CONSOLE_TIMEOUT_US 5000000

static void console_post_receive(struct virtio_console *console)
{
	struct virtqueue_segment segment = {console->receive_buffer, PAGE_SIZE_BYTES, true};

	virtqueue_add(&console->receive, &segment, 1);
	virtqueue_kick(&console->receive);
}

const char *console_start(struct virtio_console *console, uint64_t wanted_features)
{
	const char *problem = virtio_begin(&console->device, wanted_features);

	if (problem == NULL) {
		problem = virtqueue_setup(&console->receive, &console->device, QUEUE_RECEIVE);
	}
	if (problem == NULL) {
		problem = virtqueue_setup(&console->transmit, &console->device, QUEUE_TRANSMIT);
	}
	if (problem != NULL) {
		return problem;
	}
	virtio_finish(&console->device);
	if (console->receive_buffer == NULL) {
		console->receive_buffer = page_alloc(1);
	}
	console_post_receive(console);
	return NULL;
}

const char *console_write(struct virtio_console *console, const char *text, uint32_t size_bytes)
{
	struct virtqueue_segment segment = {(void *)(uintptr_t)text, size_bytes, false};
	uint32_t length = 0;
	int head = virtqueue_add(&console->transmit, &segment, 1);

	if (head < 0) {
		return "the transmit queue is full";
	}
	virtqueue_kick(&console->transmit);
	if (virtqueue_wait(&console->transmit, &length, CONSOLE_TIMEOUT_US) != head) {
		return "no completion and interrupt";
	}
	return length == 0 ? NULL : "the device claims to have written into an output buffer";
}

int console_read(struct virtio_console *console, char *text, uint32_t size_bytes,
		 uint64_t timeout_us)
{
	uint32_t length = 0;
	uint32_t wanted;

	if (virtqueue_wait(&console->receive, &length, timeout_us) < 0) {
		return 0;
	}
	wanted = length > size_bytes ? size_bytes : length;
	if (length <= PAGE_SIZE_BYTES) {
		memcpy(text, console->receive_buffer, wanted);
	}
	console_post_receive(console);
	return length == 0 || length > PAGE_SIZE_BYTES ? -1 : (int)wanted;
}

void console_read_size(const struct virtio_console *console, uint16_t *columns, uint16_t *rows)
{
	*columns = 0;
	*rows = 0;
	if ((console->device.features & CONSOLE_F_SIZE) && console->device.config_gpa != 0) {
		*columns = mmio_read16(console->device.config_gpa);
		*rows = mmio_read16(console->device.config_gpa + 2);
	}
}
