/* SPDX-License-Identifier: Apache-2.0 */
/* Columns and rows of the terminal: configuration space (virtio 1.2, 5.3.4) and its changes. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/virtio_console.h>

#include "devworkers/console/console.h"
#include "ipc/unpack.h"

int size_set(struct console *console, uint32_t columns, uint32_t rows, struct error *err)
{
	if (columns > UINT16_MAX || rows > UINT16_MAX)
		return error_set(err, -EINVAL, "a terminal of %u columns and %u rows", columns,
				 rows);
	console->size = (struct console_size){(uint16_t)columns, (uint16_t)rows};
	return 0;
}

static struct virtio_console_config config_space(const struct console *console)
{
	return (struct virtio_console_config){
		.cols = htole16(console->size.columns),
		.rows = htole16(console->size.rows),
	};
}

void size_fill_description(const struct console *console, struct worker_description *description)
{
	struct virtio_console_config config = config_space(console);

	memcpy(description->config_space, &config, sizeof(config));
	description->config_space_bytes = sizeof(config);
}

void size_announce(struct console *console)
{
	struct virtio_console_config config = config_space(console);

	worker_config_changed(console->worker, &config, sizeof(config));
}

int size_update(struct worker *worker, const uint8_t *update, size_t update_bytes, int *fds,
		unsigned fd_count, struct error *err)
{
	struct console *console = worker_device(worker);
	struct console_size old = console->size;
	const Bulkhead__Console__Update *parsed;
	ProtobufCMessage *message;
	int result;

	(void)fds;
	if (fd_count != 0)
		return error_set(err, -EINVAL, "%u file descriptors, expected none", fd_count);
	result = unpack_message(&bulkhead__console__update__descriptor, update, update_bytes,
				&message, err);
	if (result < 0)
		return error_prefix(err, "update");
	parsed = (const void *)message;
	result = size_set(console, parsed->columns, parsed->rows, err);
	protobuf_c_message_free_unpacked(message, NULL);
	if (result == 0 && memcmp(&old, &console->size, sizeof(old)) != 0)
		size_announce(console);
	return result;
}
