/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that vCPU threads hand to the loop thread. A task is embedded in its owner and carries no
 * data of its own: the owner keeps what is to be done under its own lock, and posting a task that
 * is already queued changes nothing. So posting never allocates, never blocks and never fails.
 */
#ifndef BULKHEAD_VMM_CORE_CONTROL_TASK_QUEUE_H
#define BULKHEAD_VMM_CORE_CONTROL_TASK_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

#include <uv.h>

struct task {
	void (*run)(void *opaque); /* on the loop thread */
	void *opaque;
	bool queued;	   /* guarded by the queue's lock */
	struct task *next; /* likewise */
};

struct task_queue {
	pthread_mutex_t lock;
	struct task *first, *last;
	uv_async_t async;
};

/* Initialise on loop; loop thread. Returns 0 or a negative errno. The owner closes queue->async at
 * the end. */
int task_queue_init(struct task_queue *queue, uv_loop_t *loop);

/* Any thread. The task must stay valid until it has run or was cancelled. */
void task_post(struct task_queue *queue, struct task *task);

/* Take a queued task out again (its owner goes away); loop thread. */
void task_cancel(struct task_queue *queue, struct task *task);

#endif
