/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: from the guest's chains through a bounded buffer to the backend. A backend that does not
 * take it at once never blocks the worker: bytes wait in the buffer; when that is full the chain
 * waits in the middle and nothing more is popped. The guest's memory is copied once, so that what
 * is written does not change under us; a chain is given back as soon as it is copied.
 */
#include <string.h>

#include "devworkers/console/console.h"

void transmit_continue(void *opaque)
{
	transmit_run(opaque);
}

/* Pass on what is held, as far as the backend takes it. */
static void flush_held(struct console *console)
{
	while (console->held_bytes > 0) {
		size_t taken =
			backend_write(&console->backend, console->held_output + console->held_start,
				      console->held_bytes);

		/* The backend may have been disconnected meanwhile, which empties the buffer. */
		if (taken == 0 || console->held_bytes == 0)
			return;
		console->held_start += taken;
		console->held_bytes -= taken;
	}
	console->held_start = 0;
}

void transmit_drop_held(struct console *console)
{
	console->held_start = console->held_bytes = 0;
}

/* Copy from the chain into the buffer up to limit_bytes held; returns the bytes copied. */
static size_t copy_from_chain(struct console *console, size_t limit_bytes)
{
	const struct virtqueue_chain *chain = &console->transmit_chain;
	size_t room, copied;

	if (console->held_start > 0) {
		memmove(console->held_output, console->held_output + console->held_start,
			console->held_bytes);
		console->held_start = 0;
	}
	if (console->held_bytes >= limit_bytes)
		return 0;
	room = limit_bytes - console->held_bytes;
	copied =
		virtqueue_iov_read(chain->readable, chain->readable_count, console->transmit_offset,
				   console->held_output + console->held_bytes, room);
	console->held_bytes += copied;
	console->transmit_offset += copied;
	console->output_bytes += copied;
	return copied;
}

static void give_back_chain(struct console *console, struct virtqueue *queue)
{
	virtqueue_push(queue, console->transmit_chain.head, 0);
	console->transmitting = false;
}

/* What is left of one turn of the loop. */
struct turn {
	unsigned chains;
	size_t bytes;
};

/* Take the present chain as far as possible. True when it is done. */
static bool take_chain(struct console *console, struct virtqueue *queue, struct turn *turn)
{
	while (console->transmit_offset < console->transmit_chain.readable_bytes) {
		size_t copied;

		flush_held(console);
		if (turn->bytes == 0)
			return false;
		copied = copy_from_chain(console, CONSOLE_MAX_HELD_OUTPUT);
		if (copied == 0)
			return false;
		turn->bytes -= copied < turn->bytes ? copied : turn->bytes;
	}
	give_back_chain(console, queue);
	turn->chains--;
	return true;
}

/* 1: console->transmit_chain is there to be taken; 0: queue empty; -1: broken. */
static int next_chain(struct console *console, struct virtqueue *queue)
{
	struct virtqueue_chain *chain = &console->transmit_chain;
	struct error err = ERROR_INIT;
	int result;

	if (console->transmitting)
		return 1;
	chain->segments = console->transmit_segments;
	chain->segment_capacity = CONSOLE_QUEUE_SIZE;
	result = virtqueue_pop(queue, chain, &err);
	if (result < 0)
		worker_needs_reset(console->worker, err.message);
	if (result <= 0)
		return result;
	console->transmitting = true;
	console->transmit_offset = 0;
	return 1;
}

/* True when the queue is empty; false: broken, the turn is over, or the backend must take first. */
static bool take_output(struct console *console, struct virtqueue *queue, struct turn *turn)
{
	while (turn->chains > 0 && turn->bytes > 0) {
		int result = next_chain(console, queue);

		if (result <= 0)
			return result == 0;
		if (!take_chain(console, queue, turn) && turn->bytes > 0)
			return false; /* the backend says when it is writable */
	}
	console_continue_later(console, transmit_continue);
	return false;
}

void transmit_run(struct console *console)
{
	struct virtqueue *queue = worker_queue(console->worker, CONSOLE_TRANSMIT_QUEUE);
	struct turn turn = {CONSOLE_MAX_CHAINS_PER_TURN, CONSOLE_MAX_BYTES_PER_TURN};
	bool again = queue && console->active && !worker_is_quiescing(console->worker);

	while (again)
		again = take_output(console, queue, &turn) && virtqueue_enable_kicks(queue, true);
	flush_held(console);
	if (queue)
		virtqueue_notify(queue);
	console_update_wants(console);
}

static void note_loss(struct console *console, uint64_t lost_bytes)
{
	console->lost_bytes += lost_bytes;
	if (log_ratelimit_allow(&console->loss_limit, NULL))
		log_warning("%llu bytes of console output were lost: the other end does not read",
			    (unsigned long long)lost_bytes);
}

/*
 * A chain in the middle is finished here: giving it back would write its beginning twice. The rest
 * goes into the reserve of the buffer; what a guest put beyond that is lost.
 */
void transmit_drain(struct console *console)
{
	(void)loop_set_timer(worker_loop(console->worker), UINT64_MAX, transmit_continue, console);
	if (!console->transmitting)
		return;
	(void)copy_from_chain(console, CONSOLE_HELD_CAPACITY);
	if (console->transmit_offset < console->transmit_chain.readable_bytes)
		note_loss(console,
			  console->transmit_chain.readable_bytes - console->transmit_offset);
	give_back_chain(console, worker_queue(console->worker, CONSOLE_TRANSMIT_QUEUE));
	flush_held(console);
}
