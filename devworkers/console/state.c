/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/console/console.h"
#include "ipc/unpack.h"

int state_save(struct worker *worker, uint8_t **state, size_t *state_bytes, struct error *err)
{
	struct console *console = worker_device(worker);
	Bulkhead__Console__State message;

	bulkhead__console__state__init(&message);
	message.columns = console->size.columns;
	message.rows = console->size.rows;
	message.pending_input.data = console->pending_input;
	message.pending_input.len = console->pending_bytes;
	*state_bytes = bulkhead__console__state__get_packed_size(&message);
	*state = malloc(*state_bytes + 1); /* all fields may be absent: 0 bytes */
	if (!*state)
		return error_set_errno(err, -ENOMEM, "console state");
	bulkhead__console__state__pack(&message, *state);
	return 0;
}

static int apply_state(struct console *console, const Bulkhead__Console__State *saved,
		       struct error *err)
{
	struct console_size configured = console->size;
	int result;

	if (saved->pending_input.len > sizeof(console->pending_input))
		return error_set(err, -EINVAL, "%zu bytes of pending input, at most %zu",
				 saved->pending_input.len, sizeof(console->pending_input));
	result = size_set(console, saved->columns, saved->rows, err);
	if (result < 0)
		return result;
	/* The driver remembers the saved size; the terminal of this host, if known, has its own. */
	if (configured.columns != 0 || configured.rows != 0) {
		console->size_is_news = configured.columns != console->size.columns ||
					configured.rows != console->size.rows;
		console->size = configured;
	} else {
		console->size_is_news = console->size.columns != 0 || console->size.rows != 0;
	}
	console->pending_bytes = saved->pending_input.len;
	if (saved->pending_input.len > 0)
		memcpy(console->pending_input, saved->pending_input.data, saved->pending_input.len);
	return 0;
}

int state_restore(struct worker *worker, const uint8_t *state, size_t state_bytes,
		  struct error *err)
{
	ProtobufCMessage *message;
	int result = unpack_message(&bulkhead__console__state__descriptor, state, state_bytes,
				    &message, err);

	if (result == 0) {
		result = apply_state(worker_device(worker), (const void *)message, err);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	return result < 0 ? error_prefix(err, "console state") : 0;
}
