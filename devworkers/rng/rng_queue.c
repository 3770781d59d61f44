/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "devworkers/rng/rng.h"

#define AT_ONCE_MS 0 /* a deadline that is over */

static void continue_later(void *opaque);

/*
 * Fill the chain from its start. Returns bytes written; 0 with *result negative when the source
 * gave nothing. What the source gives at once is enough: the device may use less than the whole
 * buffer, but at least one byte (virtio 1.2, 5.4.6.1).
 */
static uint32_t fill_chain(const struct rng *rng, const struct virtqueue_chain *chain,
			   int64_t *result)
{
	uint32_t written = 0;

	*result = 0;
	for (unsigned i = 0; i < chain->writable_count; i++) {
		size_t offset = 0;

		while (offset < chain->writable[i].iov_len && written < RNG_MAX_BYTES_PER_CHAIN) {
			size_t wanted = chain->writable[i].iov_len - offset;

			if (wanted > RNG_MAX_BYTES_PER_CHAIN - written)
				wanted = RNG_MAX_BYTES_PER_CHAIN - written;
			*result = rng_source_read(
				rng, (uint8_t *)chain->writable[i].iov_base + offset, wanted);
			if (*result < 0)
				return written;
			offset += (size_t)*result;
			written += (uint32_t)*result;
		}
	}
	return written;
}

static void stop_waiting(struct rng *rng)
{
	loop_unwatch(rng->source_watch);
	rng->source_watch = NULL;
	rng->waiting = false;
}

static void on_source_readable(void *opaque, uint32_t events)
{
	struct worker *worker = opaque;
	struct rng *rng = worker_device(worker);
	struct virtqueue *queue = worker_queue(worker, 0);

	(void)events;
	if (!queue || !rng->waiting)
		return;
	stop_waiting(rng);
	virtqueue_unpop(queue, rng->chain.head);
	rng_queue_ready(worker, queue);
}

static int wait_for_source(struct worker *worker, struct rng *rng)
{
	rng->source_watch = loop_watch_fd(worker_loop(worker), rng->source_fd, EPOLLIN,
					  on_source_readable, worker);
	if (!rng->source_watch)
		return -errno;
	rng->waiting = true;
	return 0;
}

static void report_broken_source(struct worker *worker, int code)
{
	struct error err = ERROR_INIT;

	if (code == -ENODATA)
		error_set(&err, code, "the source of random bytes has ended");
	else
		error_set_errno(&err, code, "the source of random bytes failed");
	worker_needs_reset(worker, err.message);
}

/* Serve rng->chain. True when the next one may be popped. */
static bool serve_chain(struct worker *worker, struct virtqueue *queue, uint32_t *written)
{
	struct rng *rng = worker_device(worker);
	int64_t result;

	*written = fill_chain(rng, &rng->chain, &result);
	if (*written == 0 && result < 0) {
		if (result == -EAGAIN)
			result = wait_for_source(worker, rng);
		if (result < 0) {
			virtqueue_unpop(queue, rng->chain.head);
			report_broken_source(worker, (int)result);
		}
		return false;
	}
	virtqueue_chain_mark_dirty(queue, &rng->chain, *written);
	virtqueue_push(queue, rng->chain.head, *written);
	rng->requests++;
	rng->bytes += *written;
	return true;
}

/* What is left of one turn of the loop. */
struct turn {
	unsigned chains;
	uint32_t bytes;
};

/*
 * Serve chains until there are none (true), or one waits, the ring is broken or the turn is over
 * (false).
 */
static bool serve_queue(struct worker *worker, struct virtqueue *queue, struct turn *turn)
{
	struct rng *rng = worker_device(worker);
	struct error err = ERROR_INIT;

	while (turn->chains > 0 && turn->bytes > 0) {
		uint32_t written = 0;
		int result;

		rng->chain.segments = rng->segments;
		rng->chain.segment_capacity = RNG_QUEUE_SIZE;
		result = virtqueue_pop(queue, &rng->chain, &err);
		if (result < 0)
			worker_needs_reset(worker, err.message);
		if (result <= 0)
			return result == 0;
		if (!serve_chain(worker, queue, &written))
			return false;
		turn->chains--;
		turn->bytes -= written < turn->bytes ? written : turn->bytes;
	}
	(void)loop_set_timer(worker_loop(worker), AT_ONCE_MS, continue_later, worker);
	return false;
}

void rng_queue_ready(struct worker *worker, struct virtqueue *queue)
{
	const struct rng *rng = worker_device(worker);
	struct turn turn = {RNG_MAX_CHAINS_PER_TURN, RNG_MAX_BYTES_PER_TURN};
	bool again = !rng->waiting && !worker_is_quiescing(worker);

	while (again)
		again = serve_queue(worker, queue, &turn) && virtqueue_enable_kicks(queue, true);
	virtqueue_notify(queue);
}

static void continue_later(void *opaque)
{
	struct worker *worker = opaque;
	struct virtqueue *queue = worker_queue(worker, 0);

	if (queue)
		rng_queue_ready(worker, queue);
}

int rng_queue_drain(struct worker *worker, struct error *err)
{
	struct rng *rng = worker_device(worker);

	(void)err;
	(void)loop_set_timer(worker_loop(worker), UINT64_MAX, continue_later, worker);
	if (rng->waiting) {
		virtqueue_unpop(worker_queue(worker, 0), rng->chain.head);
		stop_waiting(rng);
	}
	return 0;
}
