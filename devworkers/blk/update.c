/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/update.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devworkers/blk/config_space.h"
#include "devworkers/blk/dispatch.h"
#include "ipc/cleanup.h"
#include "proto/blk.pb-c.h"

#define LARGEST_BLOCK_BYTES 4096

static int unpack_size(const uint8_t *update, size_t update_bytes, uint64_t *size_bytes, bool *grow,
		       struct error *err)
{
	Bulkhead__Blk__Update *message = bulkhead__blk__update__unpack(NULL, update_bytes, update);

	if (!message)
		return error_set(err, -EINVAL, "the update is not one of a disk");
	*size_bytes = message->size_bytes;
	*grow = message->grow;
	bulkhead__blk__update__free_unpacked(message, NULL);
	return 0;
}

static int check_announced(uint64_t announced_bytes, uint64_t size_bytes, struct error *err)
{
	if (announced_bytes == size_bytes)
		return 0;
	return error_set(err, -EINVAL, "the image has %" PRIu64 " bytes, not %" PRIu64, size_bytes,
			 announced_bytes);
}

/* Both images stay usable until nothing can fail any more. */
static int replace_image(struct blk_device *device, uint64_t announced_bytes, int *fd,
			 struct error *err)
{
	const struct image *old = &device->image;
	struct image image = IMAGE_INIT;
	int status = image_open(&image, *fd, old->read_only, old->direct, err);

	if (status == 0)
		status = check_announced(announced_bytes, image.size_bytes, err);
	if (status == 0)
		status = dispatch_wait_all(device, err);
	if (status == 0 && !old->read_only && fdatasync(old->fd) != 0)
		status = error_set_errno(err, -errno, "fdatasync of the old image");
	if (status == 0)
		status = engine_set_file(device->engine, image.fd, err);
	if (status)
		return status;
	(void)fd_steal(fd);
	image_close(&device->image);
	device->image = image;
	device->writes_synced = device->writes_done;
	return 0;
}

/*
 * The file gets its new size by a write of its last block. ftruncate() would do as well, but a
 * worker that may call it could also cut short the file that guest memory is in, under everybody's
 * mappings.
 */
static int extend_image(const struct image *image, uint64_t wanted_bytes, struct error *err)
{
	static const uint8_t zeros[LARGEST_BLOCK_BYTES]
		__attribute__((aligned(LARGEST_BLOCK_BYTES)));
	struct iovec block = {
		.iov_base = (void *)(uintptr_t)zeros,
		.iov_len = image->logical_block_bytes,
	};
	ssize_t written;

	if (image->logical_block_bytes > sizeof(zeros))
		return error_set(err, -EOPNOTSUPP, "an image with blocks of %u bytes does not grow",
				 image->logical_block_bytes);
	written = pwritev2(image->fd, &block, 1, (off_t)(wanted_bytes - block.iov_len), 0);
	if (written == (ssize_t)block.iov_len)
		return 0;
	return error_set_errno(err, written < 0 ? -errno : -EIO, "size of the image");
}

/* Not smaller: a write that is under way would make it larger again behind our back. */
static int grow_image(const struct image *image, uint64_t wanted_bytes, struct error *err)
{
	uint64_t block_bytes = image->logical_block_bytes;

	if (image->block_device || image->read_only)
		return error_set(err, -EOPNOTSUPP, "%s does not change its size",
				 image->block_device ? "a block device" : "a read-only image");
	if (wanted_bytes < image->size_bytes || wanted_bytes > INT64_MAX ||
	    wanted_bytes % block_bytes)
		return error_set(err, -EINVAL,
				 "%" PRIu64 " bytes: the image has %" PRIu64
				 " and can only grow, by blocks of %" PRIu64,
				 wanted_bytes, image->size_bytes, block_bytes);
	return wanted_bytes > image->size_bytes ? extend_image(image, wanted_bytes, err) : 0;
}

static int resize_image(struct blk_device *device, uint64_t announced_bytes, struct error *err)
{
	uint64_t size_bytes = 0;
	int status = image_current_size(&device->image, &size_bytes, err);

	if (status == 0)
		status = check_announced(announced_bytes, size_bytes, err);
	if (status == 0)
		device->image.size_bytes = size_bytes;
	return status;
}

int blk_update(struct blk_device *device, const uint8_t *update, size_t update_bytes, int *fds,
	       unsigned fd_count, struct error *err)
{
	uint8_t space[CONFIG_SPACE_BYTES];
	uint64_t announced_bytes = 0;
	bool grow = false;
	int status = unpack_size(update, update_bytes, &announced_bytes, &grow, err);

	if (status)
		return status;
	if (fd_count > 1 || (fd_count == 1 && grow))
		return error_set(err, -EINVAL, "%u files for one disk", fd_count);
	if (grow)
		status = grow_image(&device->image, announced_bytes, err);
	if (status)
		return status;
	status = fd_count == 1 ? replace_image(device, announced_bytes, &fds[0], err)
			       : resize_image(device, announced_bytes, err);
	if (status)
		return status;
	blk_use_image(device);
	config_space_fill(space, &device->image, device->queue_count, device->queue_size);
	worker_config_changed(device->worker, space, sizeof(space));
	return 0;
}
