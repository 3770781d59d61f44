/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/engine.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

void engine_destroy(struct engine *engine)
{
	if (engine)
		engine->ops->destroy(engine);
}

void engine_set_done(struct engine *engine, void (*done)(void *opaque, struct engine_io *io),
		     void *opaque)
{
	engine->done = done;
	engine->opaque = opaque;
}

int engine_set_file(struct engine *engine, int fd, struct error *err)
{
	assert(engine->in_flight == 0);
	return engine->ops->set_file(engine, fd, err);
}

void engine_queue(struct engine *engine, struct engine_io *io)
{
	assert(engine->in_flight < ENGINE_MAX_IN_FLIGHT);
	engine->in_flight++;
	engine->queued++;
	engine->ops->queue(engine, io);
}

void engine_flush(struct engine *engine)
{
	engine->ops->flush(engine);
}

bool engine_has_queued(const struct engine *engine)
{
	return engine->queued > 0;
}

unsigned engine_reap(struct engine *engine)
{
	return engine->ops->reap(engine);
}

bool engine_arm(struct engine *engine)
{
	return engine->in_flight > 0 && engine->ops->arm && engine->ops->arm(engine);
}

int engine_wait(struct engine *engine)
{
	if (engine->in_flight == 0)
		return -EINVAL;
	return engine->ops->wait(engine);
}
