/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/control/task_queue.h"

#include <stddef.h>

static struct task *task_take(struct task_queue *queue)
{
	struct task *task;

	pthread_mutex_lock(&queue->lock);
	task = queue->first;
	if (task) {
		queue->first = task->next;
		if (!queue->first)
			queue->last = NULL;
		/* Cleared before it runs: what is posted from now on will be seen by another run.
		 */
		task->queued = false;
	}
	pthread_mutex_unlock(&queue->lock);
	return task;
}

static void task_queue_run(uv_async_t *async)
{
	struct task_queue *queue = async->data;
	struct task *task;

	while ((task = task_take(queue)) != NULL)
		task->run(task->opaque);
}

int task_queue_init(struct task_queue *queue, uv_loop_t *loop)
{
	pthread_mutex_init(&queue->lock, NULL);
	queue->first = queue->last = NULL;
	queue->async.data = queue;
	return uv_async_init(loop, &queue->async, task_queue_run);
}

void task_post(struct task_queue *queue, struct task *task)
{
	pthread_mutex_lock(&queue->lock);
	if (!task->queued) {
		task->queued = true;
		task->next = NULL;
		if (queue->last)
			queue->last->next = task;
		else
			queue->first = task;
		queue->last = task;
	}
	pthread_mutex_unlock(&queue->lock);
	uv_async_send(&queue->async);
}

void task_cancel(struct task_queue *queue, struct task *task)
{
	struct task *previous = NULL;

	pthread_mutex_lock(&queue->lock);
	for (struct task *at = queue->first; task->queued && at; previous = at, at = at->next) {
		if (at != task)
			continue;
		if (previous)
			previous->next = at->next;
		else
			queue->first = at->next;
		if (queue->last == at)
			queue->last = previous;
		task->queued = false;
	}
	pthread_mutex_unlock(&queue->lock);
}
