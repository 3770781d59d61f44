/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device for the tests of devworkers/common/: queue 0 copies the readable part of a chain into
 * its writable part, queue 1 keeps what it pops until it is told to let go. Commands come as
 * UPDATE, one byte each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "devworkers/common/worker.h"
#include "tests/devworkers/echo/policy.seccomp.h"

#define ECHO_QUEUE_SIZE 64
#define ECHO_COPY_BYTES 4096

enum echo_command {
	ECHO_LET_GO = 'l',	   /* complete what queue 1 holds */
	ECHO_CONFIG_CHANGED = 'c', /* tell the core of a new config space */
	ECHO_BIG_STATE = 'b',	   /* the device's state is 100 KiB from now on */
	ECHO_FAIL_DRAIN = 'f',	   /* drain() fails from now on */
	ECHO_CLAIM_DRAINED = 'd',  /* say so, whatever is held */
	ECHO_LOOK = 'p',	   /* look at queue 0 without a kick */
	ECHO_FORBIDDEN_CALL = 'x', /* a system call that no policy allows */
};

struct echo {
	struct iovec segments[ECHO_QUEUE_SIZE];
	uint16_t held[ECHO_QUEUE_SIZE];
	unsigned held_count;
	bool draining, fail_drain;
	uint8_t *state; /* restored or made by ECHO_BIG_STATE */
	size_t state_bytes;
	uint64_t requests, activations, resets;
};

static int echo_configure(struct worker *worker, const uint8_t *config, size_t config_bytes,
			  int *fds, unsigned fd_count, struct worker_description *description,
			  struct error *err)
{
	(void)worker;
	(void)fds;
	if (config_bytes > 0 && config[0] == 0xff)
		return error_set(err, -EINVAL, "bad config");
	description->features = UINT64_C(1) << 5;
	description->config_space[0] = (uint8_t)fd_count;
	description->config_space_bytes = 8;
	description->queue_count = 2;
	description->queue_sizes[0] = description->queue_sizes[1] = ECHO_QUEUE_SIZE;
	return 0;
}

static int echo_activate(struct worker *worker, uint64_t features, struct error *err)
{
	struct echo *echo = worker_device(worker);

	(void)err;
	if (features & (UINT64_C(1) << 5))
		echo->activations++;
	return 0;
}

static void echo_answer(struct virtqueue *queue, const struct virtqueue_chain *chain)
{
	uint8_t bytes[ECHO_COPY_BYTES];
	size_t length =
		virtqueue_iov_read(chain->readable, chain->readable_count, 0, bytes, sizeof(bytes));

	length = virtqueue_iov_write(chain->writable, chain->writable_count, 0, bytes, length);
	virtqueue_chain_mark_dirty(queue, chain, length);
	virtqueue_push_deferred(queue, chain->head, (uint32_t)length);
}

static void echo_queue_ready(struct worker *worker, struct virtqueue *queue)
{
	struct echo *echo = worker_device(worker);
	struct virtqueue_chain chain = {.segments = echo->segments,
					.segment_capacity = ECHO_QUEUE_SIZE};
	struct error err = ERROR_INIT;
	int ret;

	do {
		(void)virtqueue_enable_kicks(queue, false);
		while ((ret = virtqueue_pop(queue, &chain, &err)) > 0) {
			echo->requests++;
			if (queue->config.index == 0)
				echo_answer(queue, &chain);
			else
				echo->held[echo->held_count++] = chain.head;
		}
	} while (virtqueue_enable_kicks(queue, true));
	virtqueue_notify(queue);
	if (ret < 0)
		worker_needs_reset(worker, err.message);
}

static void echo_let_go(struct worker *worker, struct echo *echo)
{
	struct virtqueue *queue = worker_queue(worker, 1);

	for (unsigned i = 0; queue && i < echo->held_count; i++)
		virtqueue_push(queue, echo->held[i], 0);
	echo->held_count = 0;
	if (queue)
		virtqueue_notify(queue);
	if (echo->draining)
		worker_drained(worker, NULL);
	echo->draining = false;
}

static int echo_drain(struct worker *worker, struct error *err)
{
	struct echo *echo = worker_device(worker);

	if (echo->fail_drain)
		return error_set(err, -EIO, "told to fail");
	echo->draining = echo->held_count > 0;
	return echo->draining ? 1 : 0;
}

static void echo_reset(struct worker *worker)
{
	struct echo *echo = worker_device(worker);

	echo->held_count = 0;
	echo->resets++;
}

static int echo_save(struct worker *worker, uint8_t **state, size_t *state_bytes, struct error *err)
{
	struct echo *echo = worker_device(worker);

	*state_bytes = echo->state_bytes;
	if (echo->state_bytes == 0)
		return 0;
	*state = malloc(echo->state_bytes);
	if (!*state)
		return error_set_errno(err, -ENOMEM, "state");
	memcpy(*state, echo->state, echo->state_bytes);
	return 0;
}

static int echo_restore(struct worker *worker, const uint8_t *state, size_t state_bytes,
			struct error *err)
{
	struct echo *echo = worker_device(worker);

	if (state_bytes == 0)
		return 0;
	if (state[0] != 'S')
		return error_set(err, -EINVAL, "bad state");
	echo->state = malloc(state_bytes);
	if (!echo->state)
		return error_set_errno(err, -ENOMEM, "state");
	memcpy(echo->state, state, state_bytes);
	echo->state_bytes = state_bytes;
	return 0;
}

static int echo_make_big_state(struct echo *echo)
{
	const size_t bytes = 100 << 10;

	free(echo->state);
	echo->state = malloc(bytes);
	if (!echo->state)
		return -ENOMEM;
	memset(echo->state, 'S', bytes);
	echo->state_bytes = bytes;
	return 0;
}

static int echo_update(struct worker *worker, const uint8_t *update, size_t update_bytes, int *fds,
		       unsigned fd_count, struct error *err)
{
	static const uint8_t changed[8] = "changed";
	struct echo *echo = worker_device(worker);

	(void)fds;
	(void)fd_count;
	switch (update_bytes > 0 ? update[0] : 0) {
	case ECHO_LET_GO:
		echo_let_go(worker, echo);
		return 0;
	case ECHO_CONFIG_CHANGED:
		worker_config_changed(worker, changed, sizeof(changed));
		return 0;
	case ECHO_BIG_STATE:
		return echo_make_big_state(echo);
	case ECHO_FAIL_DRAIN:
		echo->fail_drain = true;
		return 0;
	case ECHO_CLAIM_DRAINED:
		worker_drained(worker, NULL);
		return 0;
	case ECHO_LOOK:
		if (worker_queue(worker, 0))
			echo_queue_ready(worker, worker_queue(worker, 0));
		return 0;
	case ECHO_FORBIDDEN_CALL:
		return mkdir("/escape", 0700);
	default:
		return error_set(err, -EINVAL, "no such command");
	}
}

static unsigned echo_counters(struct worker *worker, struct worker_counter *counters,
			      unsigned capacity)
{
	const struct echo *echo = worker_device(worker);

	if (capacity < 3)
		return 0;
	counters[0] = (struct worker_counter){"requests", echo->requests};
	counters[1] = (struct worker_counter){"activations", echo->activations};
	counters[2] = (struct worker_counter){"resets", echo->resets};
	return 3;
}

static void echo_destroy(struct worker *worker)
{
	struct echo *echo = worker_device(worker);

	free(echo->state);
}

static const struct worker_device_ops echo_ops = {
	.kind = "echo",
	.state_size = sizeof(struct echo),
	.seccomp_policy = &echo_policy,
	.configure = echo_configure,
	.activate = echo_activate,
	.queue_ready = echo_queue_ready,
	.drain = echo_drain,
	.reset = echo_reset,
	.save = echo_save,
	.restore = echo_restore,
	.update = echo_update,
	.counters = echo_counters,
	.destroy = echo_destroy,
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, &echo_ops);
}
