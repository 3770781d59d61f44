/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/blk/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "ipc/cleanup.h"

/* For regular files on kernels that do not tell what direct I/O needs: right for every block size
 * up to it. */
#define CAUTIOUS_DIRECT_ALIGNMENT 4096U
#define MAX_BLOCK_BYTES		  65536U

static bool is_block_size(uint32_t bytes)
{
	return bytes >= REQUEST_SECTOR_BYTES && bytes <= MAX_BLOCK_BYTES &&
	       (bytes & (bytes - 1)) == 0;
}

static int check_flags(int fd, bool read_only, bool direct, struct error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return error_set_errno(err, -errno, "flags of the image");
	if ((flags & O_ACCMODE) != (read_only ? O_RDONLY : O_RDWR))
		return error_set(err, -EINVAL, "the image is not opened %s",
				 read_only ? "read-only" : "for reading and writing");
	if (!!(flags & O_DIRECT) != direct)
		return error_set(err, -EINVAL, "the image is opened with%s O_DIRECT",
				 direct ? "out" : "");
	/* Writes at an offset would go to the end instead. */
	if (flags & O_APPEND)
		return error_set(err, -EINVAL, "the image is opened for appending");
	return 0;
}

static int check_size(const struct image *image, uint64_t size_bytes, struct error *err)
{
	if (size_bytes % REQUEST_SECTOR_BYTES != 0)
		return error_set(err, -EINVAL,
				 "the image's size of %" PRIu64
				 " bytes is not a multiple of 512: is it a raw image, and whole?",
				 size_bytes);
	if (size_bytes % image->offset_alignment_bytes != 0)
		return error_set(err, -EINVAL,
				 "the image's size of %" PRIu64
				 " bytes is not a multiple of the %u that direct I/O on it needs",
				 size_bytes, image->offset_alignment_bytes);
	return 0;
}

int image_current_size(const struct image *image, uint64_t *size_bytes, struct error *err)
{
	/* Works for files and block devices alike; nothing here uses the file position. */
	off_t end = lseek(image->fd, 0, SEEK_END);

	if (end < 0)
		return error_set_errno(err, -errno, "size of the image");
	*size_bytes = (uint64_t)end;
	return check_size(image, *size_bytes, err);
}

static void ask_block_device(struct image *image)
{
	int logical = 0;
	unsigned physical = 0, minimum = 0, optimal = 0;
	int alignment_offset = 0;

	if (ioctl(image->fd, BLKSSZGET, &logical) == 0 && is_block_size((uint32_t)logical))
		image->logical_block_bytes = (uint32_t)logical;
	image->physical_block_bytes = image->logical_block_bytes;
	if (ioctl(image->fd, BLKPBSZGET, &physical) == 0 && is_block_size(physical) &&
	    physical >= image->logical_block_bytes)
		image->physical_block_bytes = physical;
	if (ioctl(image->fd, BLKIOMIN, &minimum) == 0)
		image->minimum_io_bytes = minimum;
	if (ioctl(image->fd, BLKIOOPT, &optimal) == 0)
		image->optimal_io_bytes = optimal;
	if (ioctl(image->fd, BLKALIGNOFF, &alignment_offset) == 0 && alignment_offset > 0)
		image->alignment_offset_bytes = (uint32_t)alignment_offset;
}

static void describe_file(struct image *image, uint32_t file_system_block_bytes)
{
	if (is_block_size(file_system_block_bytes) &&
	    file_system_block_bytes >= image->logical_block_bytes)
		image->physical_block_bytes = file_system_block_bytes;
	image->minimum_io_bytes = image->physical_block_bytes;
}

static int find_direct_alignment(struct image *image, const struct statx *facts, struct error *err)
{
	uint32_t memory =
		image->block_device ? image->logical_block_bytes : CAUTIOUS_DIRECT_ALIGNMENT;
	uint32_t offset = memory;

	if (facts->stx_mask & STATX_DIOALIGN) {
		if (facts->stx_dio_offset_align == 0)
			return error_set(err, -EINVAL,
					 "the image's file system has no direct I/O for it");
		memory = facts->stx_dio_mem_align;
		offset = facts->stx_dio_offset_align;
	}
	/* Sectors are the unit of all requests: a smaller demand is always met. */
	if (offset < REQUEST_SECTOR_BYTES)
		offset = REQUEST_SECTOR_BYTES;
	if (!is_block_size(offset) || memory == 0 || memory > MAX_BLOCK_BYTES ||
	    (memory & (memory - 1)) != 0)
		return error_set(err, -EINVAL,
				 "direct I/O on the image needs an alignment of %u and %u bytes",
				 memory, offset);
	image->memory_alignment_bytes = memory;
	image->offset_alignment_bytes = offset;
	if (image->logical_block_bytes < offset)
		image->logical_block_bytes = offset;
	if (image->physical_block_bytes < image->logical_block_bytes)
		image->physical_block_bytes = image->logical_block_bytes;
	return 0;
}

static int examine(struct image *image, struct error *err)
{
	struct statx facts;

	if (statx(image->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_DIOALIGN, &facts) != 0)
		return error_set_errno(err, -errno, "facts about the image");
	image->block_device = S_ISBLK(facts.stx_mode);
	if (!S_ISREG(facts.stx_mode) && !image->block_device)
		return error_set(err, -EINVAL,
				 "the image is neither a regular file nor a block device");

	image->logical_block_bytes = image->physical_block_bytes = REQUEST_SECTOR_BYTES;
	image->memory_alignment_bytes = image->offset_alignment_bytes = 1;
	if (image->block_device)
		ask_block_device(image);
	else
		describe_file(image, facts.stx_blksize);
	if (image->direct) {
		int status = find_direct_alignment(image, &facts, err);

		if (status)
			return status;
	}
	image->discard_granularity_bytes = image->physical_block_bytes;
	return image_current_size(image, &image->size_bytes, err);
}

int image_open(struct image *image, int fd, bool read_only, bool direct, struct error *err)
{
	struct image opened = {.fd = fd, .read_only = read_only, .direct = direct};
	int status = check_flags(fd, read_only, direct, err);

	if (status == 0)
		status = examine(&opened, err);
	if (status == 0)
		*image = opened;
	return status;
}

void image_close(struct image *image)
{
	fd_close(&image->fd);
}

bool image_range_is_aligned(const struct image *image, uint64_t offset_bytes, uint64_t length_bytes)
{
	return ((offset_bytes | length_bytes) & (image->offset_alignment_bytes - 1)) == 0;
}

bool image_is_aligned(const struct image *image, uint64_t offset_bytes,
		      const struct iovec *segments, unsigned segment_count)
{
	uintptr_t memory_bits = 0;
	uint64_t length_bits = offset_bytes;

	if (!image->direct)
		return true;
	for (unsigned i = 0; i < segment_count; i++) {
		memory_bits |= (uintptr_t)segments[i].iov_base;
		length_bits |= segments[i].iov_len;
	}
	/* Each segment's length counts: the kernel cuts the transfer at segment borders. */
	return (memory_bits & (image->memory_alignment_bytes - 1)) == 0 &&
	       (length_bits & (image->offset_alignment_bytes - 1)) == 0;
}
