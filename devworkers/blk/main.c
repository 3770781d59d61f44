/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead-blk: a virtio disk on a raw image or block device (docs/devices/blk.md). */
#include <linux/virtio_blk.h>

#include "devworkers/blk/configure.h"
#include "devworkers/blk/device.h"
#include "devworkers/blk/dispatch.h"
#include "devworkers/blk/drain.h"
#include "devworkers/blk/policy.seccomp.h"
#include "devworkers/blk/state.h"
#include "devworkers/blk/update.h"
#include "devworkers/common/worker.h"

static bool accepted(uint64_t features, unsigned bit)
{
	return (features & (UINT64_C(1) << bit)) != 0;
}

static int blk_on_prepare(struct worker *worker, struct error *err)
{
	struct blk_device *device = worker_device(worker);

	device->worker = worker;
	return blk_prepare(device, err);
}

static int blk_on_configure(struct worker *worker, const uint8_t *config, size_t config_bytes,
			    int *fds, unsigned fd_count, struct worker_description *description,
			    struct error *err)
{
	return blk_configure(worker_device(worker), config, config_bytes, fds, fd_count,
			     description, err);
}

static int blk_on_activate(struct worker *worker, uint64_t features, struct error *err)
{
	struct blk_device *device = worker_device(worker);

	(void)err;
	/* Then each write is stable when it ends (virtio 1.2, 5.2.6.2). */
	device->write_through = !accepted(features, VIRTIO_BLK_F_FLUSH);
	device->limits.discard = accepted(features, VIRTIO_BLK_F_DISCARD);
	device->limits.write_zeroes = accepted(features, VIRTIO_BLK_F_WRITE_ZEROES);
	return 0;
}

static void blk_on_queue_ready(struct worker *worker, struct virtqueue *queue)
{
	dispatch_queue(worker_device(worker), queue);
}

static int blk_on_drain(struct worker *worker, struct error *err)
{
	(void)err;
	return drain_begin(worker_device(worker));
}

static void blk_on_reset(struct worker *worker)
{
	dispatch_reset(worker_device(worker));
}

static int blk_on_save(struct worker *worker, uint8_t **state, size_t *state_bytes,
		       struct error *err)
{
	const struct blk_device *device = worker_device(worker);
	const struct blk_state saved = {.size_bytes = device->image.size_bytes};

	return blk_state_pack(&saved, state, state_bytes, err);
}

static int blk_on_restore(struct worker *worker, const uint8_t *state, size_t state_bytes,
			  struct error *err)
{
	const struct blk_device *device = worker_device(worker);
	struct blk_state saved;

	/* Nothing of it is kept: it has to be right, no more. */
	return blk_state_unpack(&saved, state, state_bytes, device->image.size_bytes, err);
}

static int blk_on_update(struct worker *worker, const uint8_t *update, size_t update_bytes,
			 int *fds, unsigned fd_count, struct error *err)
{
	return blk_update(worker_device(worker), update, update_bytes, fds, fd_count, err);
}

static unsigned blk_on_counters(struct worker *worker, struct worker_counter *counters,
				unsigned capacity)
{
	const struct blk_device *device = worker_device(worker);

	return stats_report(&device->stats, counters, capacity);
}

static void blk_on_destroy(struct worker *worker)
{
	struct blk_device *device = worker_device(worker);
	struct error ignored = ERROR_INIT;

	if (!device->worker)
		return;
	loop_unwatch(device->engine_watch);
	/* Buffers must not go while the kernel or a thread writes into them. */
	if (device->engine)
		(void)dispatch_wait_all(device, &ignored);
	engine_destroy(device->uring);
	engine_destroy(device->threads);
	dispatch_destroy(device);
	image_close(&device->image);
}

static const struct worker_device_ops blk_ops = {
	.kind = "blk",
	.state_size = sizeof(struct blk_device),
	.seccomp_policy = &blk_policy,
	.prepare = blk_on_prepare,
	.configure = blk_on_configure,
	.activate = blk_on_activate,
	.queue_ready = blk_on_queue_ready,
	.drain = blk_on_drain,
	.reset = blk_on_reset,
	.save = blk_on_save,
	.restore = blk_on_restore,
	.update = blk_on_update,
	.counters = blk_on_counters,
	.destroy = blk_on_destroy,
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, &blk_ops);
}
