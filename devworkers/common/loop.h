/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's event loop: epoll, edge or level triggered fds, a few timers, one optional hook that
 * runs before the loop sleeps. Small on purpose: workers link as little as they can. Owned by one
 * thread.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_LOOP_H
#define BULKHEAD_DEVWORKERS_COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_watch; /* embedded by nobody: created by loop_watch_fd, freed by loop_unwatch */

/* events: EPOLLIN | EPOLLOUT | EPOLLET as given. May unwatch itself or others. */
typedef void (*loop_fd_fn)(void *opaque, uint32_t events);
/* Return true to be called again without sleeping (work is left). */
typedef bool (*loop_idle_fn)(void *opaque);

struct loop *loop_new(void); /* NULL with errno set */
void loop_destroy(struct loop *loop);

/* Watch fd (borrowed). NULL with errno set. */
struct loop_watch *loop_watch_fd(struct loop *loop, int fd, uint32_t epoll_events,
				 loop_fd_fn callback, void *opaque);
int loop_rewatch(struct loop_watch *watch, uint32_t epoll_events);
void loop_unwatch(struct loop_watch *watch); /* accepts NULL; safe inside callbacks */

void loop_set_idle(struct loop *loop, loop_idle_fn callback, void *opaque);

/*
 * Wake up no later than deadline_ms of CLOCK_MONOTONIC and call the timer, once. A timer is named
 * by callback and opaque together: setting it again moves it, UINT64_MAX turns it off. -ENOSPC when
 * four others are armed.
 */
int loop_set_timer(struct loop *loop, uint64_t deadline_ms, void (*callback)(void *), void *opaque);

/* Run until loop_stop() (also called before). Returns the value given to it, or a negative errno.
 */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int result);

#endif
