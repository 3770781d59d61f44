/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread engine: a few threads that take I/O from one list and put it on another.
 *
 * Both lists are guarded by one mutex that is held for a few instructions. The threads never touch
 * rings or the device: they see only the I/O, the file, and guest memory as buffers of it.
 */
#include "devworkers/blk/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define THREAD_COUNT	   4U
#define THREAD_STACK_BYTES (64 * 1024)

struct io_list {
	struct engine_io *first;
	struct engine_io **last_next;
};

struct engine_threads {
	struct engine engine;
	pthread_t threads[THREAD_COUNT];
	unsigned thread_count;
	unsigned running_count; /* under mutex: past the C library's part of their start */
	unsigned idle_count;	/* under mutex */
	int file_fd;		/* borrowed; written while nothing is in flight */
	bool stopping;		/* under mutex */
	pthread_mutex_t mutex;
	pthread_cond_t work; /* `started` is not empty, or stopping */
	pthread_cond_t
		finished; /* `ended` is not empty, or a thread became idle for the first time */
	struct io_list started; /* under mutex: for the threads */
	struct io_list ended;	/* under mutex: for the owner */
	struct io_list queued;	/* the owner's */
};

static void list_init(struct io_list *list)
{
	list->first = NULL;
	list->last_next = &list->first;
}

static void list_append(struct io_list *list, struct engine_io *io)
{
	io->next = NULL;
	*list->last_next = io;
	list->last_next = &io->next;
}

static struct engine_io *list_take_first(struct io_list *list)
{
	struct engine_io *io = list->first;

	if (io) {
		list->first = io->next;
		if (!list->first)
			list->last_next = &list->first;
	}
	return io;
}

/* Move all of `from` to the end of `to`. */
static void list_move(struct io_list *to, struct io_list *from)
{
	if (!from->first)
		return;
	*to->last_next = from->first;
	to->last_next = from->last_next;
	list_init(from);
}

static int64_t perform(int fd, const struct engine_io *io)
{
	int count = (int)io->segment_count;
	off_t offset = (off_t)io->offset_bytes, length = (off_t)io->length_bytes;
	int64_t result = -EINVAL;

	switch (io->kind) {
	case ENGINE_READ:
		result = preadv2(fd, io->segments, count, offset, 0);
		break;
	case ENGINE_WRITE:
		result = pwritev2(fd, io->segments, count, offset, 0);
		break;
	case ENGINE_WRITE_STABLE:
		result = pwritev2(fd, io->segments, count, offset, RWF_DSYNC);
		break;
	case ENGINE_SYNC:
		result = fdatasync(fd);
		break;
	case ENGINE_PUNCH:
		result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
		break;
	case ENGINE_ZERO:
		result = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
		break;
	}
	return result < 0 ? -errno : result;
}

static void announce(const struct engine_threads *pool)
{
	const uint64_t one = 1;

	/* Only fails when the counter is full, that is when it is readable anyway. */
	if (write(pool->engine.event_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

static void *thread_main(void *opaque)
{
	struct engine_threads *pool = opaque;

	pthread_mutex_lock(&pool->mutex);
	pool->running_count++;
	pthread_cond_signal(&pool->finished);
	for (;;) {
		struct engine_io *io = list_take_first(&pool->started);
		bool first;

		if (!io && pool->stopping)
			break;
		if (!io) {
			pool->idle_count++;
			pthread_cond_wait(&pool->work, &pool->mutex);
			pool->idle_count--;
			continue;
		}
		pthread_mutex_unlock(&pool->mutex);
		io->result = perform(pool->file_fd, io);
		pthread_mutex_lock(&pool->mutex);
		first = pool->ended.first == NULL;
		list_append(&pool->ended, io);
		if (first) {
			pthread_cond_signal(&pool->finished);
			announce(pool);
		}
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

static void threads_destroy(struct engine *engine)
{
	struct engine_threads *pool = (struct engine_threads *)engine;

	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->mutex);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_mutex_destroy(&pool->mutex);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->finished);
	fd_close(&pool->engine.event_fd);
	free(pool);
}

static int threads_set_file(struct engine *engine, int fd, struct error *err)
{
	struct engine_threads *pool = (struct engine_threads *)engine;

	(void)err;
	/* The mutex that every hand-over takes makes it visible to the threads. */
	pool->file_fd = fd;
	return 0;
}

static void threads_queue(struct engine *engine, struct engine_io *io)
{
	struct engine_threads *pool = (struct engine_threads *)engine;

	list_append(&pool->queued, io);
}

static void threads_flush(struct engine *engine)
{
	struct engine_threads *pool = (struct engine_threads *)engine;
	unsigned wake;

	if (engine->queued == 0)
		return;
	pthread_mutex_lock(&pool->mutex);
	list_move(&pool->started, &pool->queued);
	wake = engine->queued < pool->idle_count ? engine->queued : pool->idle_count;
	for (unsigned i = 0; i < wake; i++)
		pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->mutex);
	engine->queued = 0;
}

static unsigned threads_reap(struct engine *engine)
{
	struct engine_threads *pool = (struct engine_threads *)engine;
	struct io_list ended;
	struct engine_io *io;
	unsigned count = 0;

	if (engine->in_flight == 0)
		return 0;
	list_init(&ended);
	pthread_mutex_lock(&pool->mutex);
	list_move(&ended, &pool->ended);
	pthread_mutex_unlock(&pool->mutex);
	while ((io = list_take_first(&ended))) {
		engine->in_flight--;
		count++;
		engine->done(engine->opaque, io);
	}
	return count;
}

static int threads_wait(struct engine *engine)
{
	struct engine_threads *pool = (struct engine_threads *)engine;

	threads_flush(engine);
	pthread_mutex_lock(&pool->mutex);
	while (!pool->ended.first)
		pthread_cond_wait(&pool->finished, &pool->mutex);
	pthread_mutex_unlock(&pool->mutex);
	return 0;
}

static const struct engine_ops threads_ops = {
	.name = "threads",
	.set_file = threads_set_file,
	.queue = threads_queue,
	.flush = threads_flush,
	.reap = threads_reap,
	.wait = threads_wait,
	.destroy = threads_destroy,
};

/* A thread begins with system calls of the C library that the sandbox, once closed, forbids. */
static void wait_until_running(struct engine_threads *pool)
{
	pthread_mutex_lock(&pool->mutex);
	while (pool->running_count < pool->thread_count)
		pthread_cond_wait(&pool->finished, &pool->mutex);
	pthread_mutex_unlock(&pool->mutex);
}

static int start_threads(struct engine_threads *pool, struct error *err)
{
	pthread_attr_t attributes;
	int status = pthread_attr_init(&attributes);

	if (status == 0)
		status = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	while (status == 0 && pool->thread_count < THREAD_COUNT) {
		status = pthread_create(&pool->threads[pool->thread_count], &attributes,
					thread_main, pool);
		if (status == 0)
			pool->thread_count++;
	}
	pthread_attr_destroy(&attributes);
	wait_until_running(pool);
	return status ? error_set_errno(err, -status, "I/O threads") : 0;
}

struct engine *engine_threads_new(struct error *err)
{
	struct engine_threads *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	pool->engine.ops = &threads_ops;
	pool->file_fd = -1;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->finished, NULL);
	list_init(&pool->started);
	list_init(&pool->ended);
	list_init(&pool->queued);
	pool->engine.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->engine.event_fd < 0)
		error_set_errno(err, -errno, "eventfd");
	if (pool->engine.event_fd < 0 || start_threads(pool, err)) {
		threads_destroy(&pool->engine);
		return NULL;
	}
	return &pool->engine;
}
