/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/drain.h"

#include <stddef.h>

static bool has_volatile_writes(const struct blk_device *device)
{
	return !device->image.read_only && device->writes_done != device->writes_synced;
}

int drain_begin(struct blk_device *device)
{
	device->backlog = 0;
	if (device->slots_in_use == 0 && device->engine->in_flight == 0 &&
	    !has_volatile_writes(device))
		return 0;
	device->draining = true;
	device->drain_error = 0;
	/* Goes on from the idle hook, before the loop sleeps. */
	return 1;
}

static void end(struct blk_device *device)
{
	struct error err = ERROR_INIT;

	device->draining = false;
	if (device->drain_error)
		error_set_errno(&err, device->drain_error, "fdatasync of the image");
	worker_drained(device->worker, &err);
}

void drain_continue(struct blk_device *device)
{
	if (!device->draining || device->engine->in_flight > 0 || device->slots_in_use > 0)
		return;
	if (device->drain_error || !has_volatile_writes(device)) {
		end(device);
		return;
	}
	device->drain_sync_point = device->writes_done;
	device->drain_io.kind = ENGINE_SYNC;
	engine_queue(device->engine, &device->drain_io);
}

void drain_synced(struct blk_device *device)
{
	int64_t result = device->drain_io.result;

	if (result < 0)
		device->drain_error = (int)result;
	else
		device->writes_synced = device->drain_sync_point;
}
