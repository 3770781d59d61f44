/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/configure.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "devworkers/blk/config_space.h"
#include "devworkers/blk/dispatch.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "proto/blk.pb-c.h"

int blk_prepare(struct blk_device *device, struct error *err)
{
	struct error reason = ERROR_INIT;

	device->image.fd = -1;
	device->uring = engine_uring_new(&reason);
	if (!device->uring)
		log_info("no io_uring, using threads: %s", reason.message);
	device->threads = engine_threads_new(err);
	return device->threads ? 0 : err->code;
}

static int check_config(const Bulkhead__Blk__Config *config, struct error *err)
{
	uint32_t size = config->queue_size;

	if (config->num_queues < 1 || config->num_queues > WORKER_MAX_QUEUES)
		return error_set(err, -EINVAL, "%u queues: 1 to %d are possible",
				 config->num_queues, WORKER_MAX_QUEUES);
	if (size < BLK_MIN_QUEUE_SIZE || size > VIRTQUEUE_MAX_SIZE || (size & (size - 1)) != 0)
		return error_set(err, -EINVAL, "queue size %u is not a power of two from %u to %d",
				 size, BLK_MIN_QUEUE_SIZE, VIRTQUEUE_MAX_SIZE);
	if (strlen(config->serial) > REQUEST_ID_BYTES)
		return error_set(err, -EINVAL, "the serial is longer than %u characters",
				 REQUEST_ID_BYTES);
	for (const char *c = config->serial; *c; c++)
		if (*c < ' ' || *c > '~')
			return error_set(err, -EINVAL,
					 "the serial has a character that is not printable ASCII");
	return 0;
}

/* The end of the serial needs no NUL (virtio 1.2, 5.2.6). */
static void set_id(struct blk_device *device, const char *serial)
{
	if (!*serial)
		serial = worker_device_id(device->worker);
	memset(device->id, 0, sizeof(device->id));
	memcpy(device->id, serial, strnlen(serial, sizeof(device->id)));
}

static void choose_engine(struct blk_device *device, bool no_io_uring)
{
	if (device->uring && !no_io_uring) {
		device->engine = device->uring;
		engine_destroy(device->threads);
		device->threads = NULL;
	} else {
		device->engine = device->threads;
		engine_destroy(device->uring);
		device->uring = NULL;
	}
	assert(device->engine);
	log_debug("I/O engine: %s", device->engine->ops->name);
}

/* The idle hook runs after it, and does the work. */
static void engine_ready(void *opaque, uint32_t events)
{
	(void)opaque;
	(void)events;
}

static int attach_engine(struct blk_device *device, bool no_io_uring, struct error *err)
{
	struct loop *loop = worker_loop(device->worker);
	int status;

	choose_engine(device, no_io_uring);
	engine_set_done(device->engine, dispatch_io_done, device);
	status = engine_set_file(device->engine, device->image.fd, err);
	if (status)
		return status;
	device->engine_watch = loop_watch_fd(loop, device->engine->event_fd, EPOLLIN | EPOLLET,
					     engine_ready, device);
	if (!device->engine_watch)
		return error_set_errno(err, -errno, "watching the I/O engine");
	loop_set_idle(loop, dispatch_idle, device);
	return 0;
}

void blk_use_image(struct blk_device *device)
{
	device->limits.capacity_bytes = device->image.size_bytes;
	device->limits.read_only = device->image.read_only;
	device->bounce.alignment_bytes = device->image.offset_alignment_bytes;
	inline_io_init(&device->inline_io, !device->image.direct);
}

static void describe(const struct blk_device *device, struct worker_description *description)
{
	description->features = config_space_features(&device->image, device->queue_count);
	config_space_fill(description->config_space, &device->image, device->queue_count,
			  device->queue_size);
	description->config_space_bytes = CONFIG_SPACE_BYTES;
	description->queue_count = device->queue_count;
	for (unsigned i = 0; i < device->queue_count; i++)
		description->queue_sizes[i] = device->queue_size;
}

static int apply(struct blk_device *device, const Bulkhead__Blk__Config *config, int *fd,
		 struct worker_description *description, struct error *err)
{
	int status = check_config(config, err);

	if (status == 0)
		status = image_open(&device->image, *fd, config->read_only, config->direct, err);
	if (status)
		return status;
	(void)fd_steal(fd);
	device->queue_count = config->num_queues;
	device->queue_size = (uint16_t)config->queue_size;
	set_id(device, config->serial);
	status = dispatch_init(device, err);
	if (status == 0)
		status = attach_engine(device, config->no_io_uring, err);
	if (status)
		return status;
	blk_use_image(device);
	describe(device, description);
	return 0;
}

int blk_configure(struct blk_device *device, const uint8_t *config, size_t config_bytes, int *fds,
		  unsigned fd_count, struct worker_description *description, struct error *err)
{
	Bulkhead__Blk__Config *message;
	int status;

	if (fd_count != 1)
		return error_set(err, -EINVAL, "%u files for one disk", fd_count);
	message = bulkhead__blk__config__unpack(NULL, config_bytes, config);
	if (!message)
		return error_set(err, -EINVAL, "the configuration is not one of a disk");
	status = apply(device, message, &fds[0], description, err);
	bulkhead__blk__config__free_unpacked(message, NULL);
	return status;
}
