/* SPDX-License-Identifier: Apache-2.0 */
/* Input: from the backend through a small buffer into the guest's receive buffers, no faster than
 * it offers them. */
#include <string.h>

#include "devworkers/console/console.h"

static void continue_receive(void *opaque)
{
	receive_run(opaque);
}

static void read_input(struct console *console)
{
	size_t room = CONSOLE_MAX_PENDING_INPUT - console->pending_bytes;

	if (room > 0)
		console->pending_bytes += backend_read(
			&console->backend, console->pending_input + console->pending_bytes, room);
}

/* Give the guest what one chain takes. */
static void fill_chain(struct console *console, struct virtqueue *queue,
		       const struct virtqueue_chain *chain)
{
	size_t written = virtqueue_iov_write(chain->writable, chain->writable_count, 0,
					     console->pending_input, console->pending_bytes);

	console->pending_bytes -= written;
	memmove(console->pending_input, console->pending_input + written, console->pending_bytes);
	console->input_bytes += written;
	virtqueue_chain_mark_dirty(queue, chain, written);
	virtqueue_push(queue, chain->head, (uint32_t)written);
}

/* True when the queue is empty or there is nothing to give; false: broken, or the turn is over. */
static bool give_input(struct console *console, struct virtqueue *queue, unsigned *chains_left)
{
	struct iovec segments[CONSOLE_QUEUE_SIZE];
	struct virtqueue_chain chain = {.segments = segments,
					.segment_capacity = CONSOLE_QUEUE_SIZE};
	struct error err = ERROR_INIT;

	while (console->pending_bytes > 0) {
		int result;

		if (*chains_left == 0) {
			console_continue_later(console, continue_receive);
			return false;
		}
		result = virtqueue_pop(queue, &chain, &err);
		if (result < 0)
			worker_needs_reset(console->worker, err.message);
		if (result <= 0)
			return result == 0;
		fill_chain(console, queue, &chain);
		(*chains_left)--;
	}
	return true;
}

void receive_run(struct console *console)
{
	struct virtqueue *queue = worker_queue(console->worker, CONSOLE_RECEIVE_QUEUE);
	unsigned chains_left = CONSOLE_MAX_CHAINS_PER_TURN;
	bool again = queue && console->active && !worker_is_quiescing(console->worker);

	if (again)
		read_input(console);
	while (again) {
		again = give_input(console, queue, &chains_left) && console->pending_bytes > 0 &&
			virtqueue_enable_kicks(queue, true);
		/* No event would bring us back. */
		if (!again && console->pending_bytes == 0 && chains_left > 0 &&
		    backend_input_is_ready(&console->backend)) {
			read_input(console);
			again = console->pending_bytes > 0;
		}
	}
	if (queue)
		virtqueue_notify(queue);
	console_update_wants(console);
}

void receive_drain(struct console *console)
{
	(void)loop_set_timer(worker_loop(console->worker), UINT64_MAX, continue_receive, console);
}
