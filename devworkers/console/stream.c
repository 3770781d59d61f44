/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "devworkers/console/backend.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"

int stream_open(struct stream *stream, int *fd, struct error *err)
{
	int flags = fcntl(*fd, F_GETFL);

	if (flags < 0 || fcntl(*fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set_errno(err, -errno, "fcntl");
	*stream = (struct stream){
		.open = true,
		.fd = fd_steal(fd),
	};
	return 0;
}

void stream_close(struct stream *stream)
{
	if (!stream->open)
		return;
	loop_unwatch(stream->watch);
	fd_close(&stream->fd);
	*stream = (struct stream){.open = false};
}

void stream_forget(struct stream *stream)
{
	loop_unwatch(stream->watch);
	stream->watch = NULL;
}

void stream_await(struct stream *stream, struct loop *loop, uint32_t events, loop_fd_fn callback,
		  void *opaque)
{
	if (!stream->open || stream->always_ready)
		return;
	if (!stream->watch) {
		stream->watch = loop_watch_fd(loop, stream->fd, events, callback, opaque);
		if (!stream->watch && errno == EPERM)
			stream->always_ready = true;
		else if (!stream->watch)
			log_error("cannot watch the console's descriptor: errno %d", errno);
	} else if (stream->events != events) {
		(void)loop_rewatch(stream->watch, events);
	}
	stream->events = events;
}
