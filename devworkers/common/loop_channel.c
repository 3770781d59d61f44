/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/common/loop_channel.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

static void loop_channel_on_ready(void *opaque, uint32_t events)
{
	struct loop_channel *watch = opaque;

	(void)events;
	(void)channel_dispatch(watch->channel, 0);
	loop_channel_update(watch);
	if (watch->dispatched)
		watch->dispatched(watch->opaque);
}

int loop_channel_watch(struct loop_channel *watch, struct loop *loop, struct channel *channel,
		       void (*dispatched)(void *opaque), void *opaque, struct error *err)
{
	*watch = (struct loop_channel){
		.channel = channel,
		.events = EPOLLIN,
		.dispatched = dispatched,
		.opaque = opaque,
	};
	watch->watch =
		loop_watch_fd(loop, channel_fd(channel), EPOLLIN, loop_channel_on_ready, watch);
	if (!watch->watch)
		return error_set_errno(err, -errno, "watch the socket of %s",
				       channel_peer(channel));
	return 0;
}

void loop_channel_update(struct loop_channel *watch)
{
	uint32_t events;

	if (!watch->watch || channel_fd(watch->channel) < 0)
		return;
	events = (uint32_t)channel_poll_events(watch->channel);
	/* A channel that failed while something was sent is closed by its next turn. */
	if (channel_next_deadline_ms(watch->channel) == 0)
		events |= EPOLLOUT;
	if (events != watch->events && loop_rewatch(watch->watch, events) == 0)
		watch->events = events;
}

void loop_channel_unwatch(struct loop_channel *watch)
{
	loop_unwatch(watch->watch);
	watch->watch = NULL;
}
