/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/common/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "ipc/cleanup.h"

#define LOOP_BATCH_EVENTS 32
#define LOOP_MAX_TIMERS	  4

struct loop_watch {
	struct loop *loop;
	struct loop_watch *next, *previous; /* all watches, or all dead ones (next only) */
	int fd;
	bool dead; /* unwatched; freed when no event of the present batch can name it */
	loop_fd_fn callback;
	void *opaque;
};

struct loop_timer {
	uint64_t deadline_ms; /* UINT64_MAX: off */
	void (*callback)(void *);
	void *opaque;
};

struct loop {
	int epoll_fd;
	bool stopped;
	int result;
	struct loop_watch *watches, *dead;
	struct loop_timer timers[LOOP_MAX_TIMERS];
	loop_idle_fn idle;
	void *idle_opaque;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return NULL;
	}
	for (unsigned i = 0; i < LOOP_MAX_TIMERS; i++)
		loop->timers[i].deadline_ms = UINT64_MAX;
	return loop;
}

static void free_watches(struct loop_watch *watch)
{
	while (watch) {
		struct loop_watch *next = watch->next;

		free(watch);
		watch = next;
	}
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	free_watches(loop->watches);
	free_watches(loop->dead);
	fd_close(&loop->epoll_fd);
	free(loop);
}

struct loop_watch *loop_watch_fd(struct loop *loop, int fd, uint32_t epoll_events,
				 loop_fd_fn callback, void *opaque)
{
	struct epoll_event event = {.events = epoll_events};
	struct loop_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	*watch =
		(struct loop_watch){.loop = loop, .fd = fd, .callback = callback, .opaque = opaque};
	event.data.ptr = watch;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(watch);
		return NULL;
	}
	watch->next = loop->watches;
	if (watch->next)
		watch->next->previous = watch;
	loop->watches = watch;
	return watch;
}

int loop_rewatch(struct loop_watch *watch, uint32_t epoll_events)
{
	struct epoll_event event = {.events = epoll_events, .data.ptr = watch};

	if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		return -errno;
	return 0;
}

void loop_unwatch(struct loop_watch *watch)
{
	struct loop *loop;

	if (!watch || watch->dead)
		return;
	loop = watch->loop;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	if (watch->previous)
		watch->previous->next = watch->next;
	else
		loop->watches = watch->next;
	if (watch->next)
		watch->next->previous = watch->previous;
	watch->dead = true;
	watch->next = loop->dead;
	loop->dead = watch;
}

void loop_set_idle(struct loop *loop, loop_idle_fn callback, void *opaque)
{
	loop->idle = callback;
	loop->idle_opaque = opaque;
}

static struct loop_timer *find_timer(struct loop *loop, void (*callback)(void *),
				     const void *opaque)
{
	for (unsigned i = 0; i < LOOP_MAX_TIMERS; i++)
		if (loop->timers[i].callback == callback && loop->timers[i].opaque == opaque)
			return &loop->timers[i];
	return NULL;
}

int loop_set_timer(struct loop *loop, uint64_t deadline_ms, void (*callback)(void *), void *opaque)
{
	struct loop_timer *timer = find_timer(loop, callback, opaque);

	if (!timer && deadline_ms == UINT64_MAX)
		return 0;
	if (!timer)
		timer = find_timer(loop, NULL, NULL);
	if (!timer)
		return -ENOSPC;
	if (deadline_ms == UINT64_MAX)
		*timer = (struct loop_timer){.deadline_ms = UINT64_MAX};
	else
		*timer = (struct loop_timer){deadline_ms, callback, opaque};
	return 0;
}

static void run_timers(struct loop *loop)
{
	uint64_t now = 0;

	for (unsigned i = 0; i < LOOP_MAX_TIMERS; i++) {
		struct loop_timer timer = loop->timers[i];

		if (timer.deadline_ms == UINT64_MAX)
			continue;
		if (now == 0)
			now = now_ms();
		if (timer.deadline_ms > now)
			continue;
		/* Free before the call: it may arm itself again. */
		loop->timers[i] = (struct loop_timer){.deadline_ms = UINT64_MAX};
		timer.callback(timer.opaque);
	}
}

/* Milliseconds to sleep for epoll_wait: -1 without a timer. */
static int sleep_ms(const struct loop *loop)
{
	uint64_t first = UINT64_MAX, now;

	for (unsigned i = 0; i < LOOP_MAX_TIMERS; i++)
		if (loop->timers[i].deadline_ms < first)
			first = loop->timers[i].deadline_ms;
	if (first == UINT64_MAX)
		return -1;
	now = now_ms();
	if (first <= now)
		return 0;
	return first - now > 60000 ? 60000 : (int)(first - now);
}

static void dispatch_events(const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct loop_watch *watch = events[i].data.ptr;

		if (!watch->dead)
			watch->callback(watch->opaque, events[i].events);
	}
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[LOOP_BATCH_EVENTS];

	while (!loop->stopped) {
		bool busy = loop->idle && loop->idle(loop->idle_opaque);
		int count;

		if (loop->stopped)
			break;
		count = epoll_wait(loop->epoll_fd, events, LOOP_BATCH_EVENTS,
				   busy ? 0 : sleep_ms(loop));
		if (count < 0 && errno != EINTR)
			return -errno;
		dispatch_events(events, count);
		run_timers(loop);
		free_watches(loop->dead);
		loop->dead = NULL;
	}
	loop->stopped = false;
	return loop->result;
}

void loop_stop(struct loop *loop, int result)
{
	loop->stopped = true;
	loop->result = result;
}
