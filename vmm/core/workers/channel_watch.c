/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/workers/channel_watch.h"

#include <poll.h>
#include <stddef.h>

static void channel_watch_on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel_watch *watch = poll->data;

	(void)status;
	(void)events;
	(void)channel_dispatch(watch->channel, 0);
	channel_watch_update(watch);
}

static void channel_watch_on_timer(uv_timer_t *timer)
{
	struct channel_watch *watch = timer->data;

	channel_expire(watch->channel, channel_now_ms());
	channel_watch_update(watch);
}

int channel_watch_start(struct channel_watch *watch, uv_loop_t *loop, struct channel *channel,
			struct error *err)
{
	int result;

	watch->channel = channel;
	watch->open_handles = 0;
	result = uv_poll_init(loop, &watch->poll, channel_fd(channel));
	if (result < 0)
		return error_set_errno(err, result, "cannot watch the socket of %s",
				       channel_peer(channel));
	uv_timer_init(loop, &watch->timer);
	watch->poll.data = watch->timer.data = watch;
	watch->open_handles = 2;
	watch->active = true;
	channel_watch_update(watch);
	return 0;
}

void channel_watch_update(struct channel_watch *watch)
{
	uint64_t deadline, now;
	int events = UV_READABLE;

	if (!watch->active)
		return;
	if (channel_fd(watch->channel) < 0) {
		channel_watch_stop(watch);
		return;
	}
	if (channel_poll_events(watch->channel) & POLLOUT)
		events |= UV_WRITABLE;
	uv_poll_start(&watch->poll, events, channel_watch_on_poll);
	deadline = channel_next_deadline_ms(watch->channel);
	if (deadline == UINT64_MAX) {
		uv_timer_stop(&watch->timer);
		return;
	}
	now = channel_now_ms();
	uv_update_time(watch->timer.loop);
	uv_timer_start(&watch->timer, channel_watch_on_timer, deadline > now ? deadline - now : 0,
		       0);
}

void channel_watch_stop(struct channel_watch *watch)
{
	if (!watch->active)
		return;
	watch->active = false;
	uv_poll_stop(&watch->poll);
	uv_timer_stop(&watch->timer);
}

static void channel_watch_on_handle_closed(uv_handle_t *handle)
{
	struct channel_watch *watch = handle->data;

	if (--watch->open_handles == 0 && watch->closed)
		watch->closed(watch->opaque);
}

void channel_watch_close(struct channel_watch *watch, void (*closed)(void *opaque), void *opaque)
{
	channel_watch_stop(watch);
	watch->closed = closed;
	watch->opaque = opaque;
	if (!watch->open_handles)
		return;
	uv_close((uv_handle_t *)&watch->poll, channel_watch_on_handle_closed);
	uv_close((uv_handle_t *)&watch->timer, channel_watch_on_handle_closed);
}
