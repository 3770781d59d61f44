/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real bulkhead-blk in its sandbox on a temporary image, with guest memory and one ring: what the
 * worker tests of the disk have in common.
 */
#ifndef BULKHEAD_TESTS_DEVWORKERS_BLK_DISK_FIXTURE_H
#define BULKHEAD_TESTS_DEVWORKERS_BLK_DISK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "ipc/cleanup.h"
#include "proto/blk.pb-c.h"
#include "tests/devworkers/blk/temporary_image.h"
#include "tests/devworkers/common/worker_driver.h"

#define DISK_BYTES	(1024U * 1024)
#define DISK_RAM_GPA	0x100000U
#define DISK_DATA_BYTES (256U * 1024)
#define DISK_QUEUE_SIZE 64U
#define DISK_TIMEOUT_MS 5000U
#define DISK_NO_STATUS	0xeeU /* in the status byte before the device writes it */

struct disk {
	struct worker_driver driver;
	struct guest_ram ram;
	struct ring_driver ring;
	int fd; /* the image, opened for reading and writing without O_DIRECT */
	uint64_t header_gpa, data_gpa, status_gpa;
	uint32_t used_length; /* of the last request */
};

struct disk_options {
	bool threads, read_only, direct;
	uint64_t refuse; /* features that the driver does not accept */
	bool not_active;
};

/* The byte that the image holds at an offset when a test begins. */
static inline uint8_t disk_byte(uint64_t offset)
{
	return (uint8_t)(offset / 512 * 31 + offset % 512 + 1);
}

static inline void disk_fill_image(int fd, uint64_t bytes)
{
	uint8_t block[4096];

	for (uint64_t at = 0; at < bytes; at += sizeof(block)) {
		for (unsigned i = 0; i < sizeof(block); i++)
			block[i] = disk_byte(at + i);
		assert_int_equal(pwrite(fd, block, sizeof(block), (off_t)at), sizeof(block));
	}
}

static inline void disk_activate(struct disk *disk, uint64_t refuse)
{
	struct error err = ERROR_INIT;
	struct ring_driver *rings[] = {&disk->ring};
	const struct worker_driver_activation activation = {
		.features = disk->driver.features & ~refuse,
		.ram = &disk->ram,
		.rings = rings,
		.ring_count = 1,
	};

	if (worker_driver_activate(&disk->driver, &activation, NULL, &err))
		fail_msg("activate: %s", err.message);
}

static inline void disk_make_memory(struct disk *disk)
{
	guest_ram_init(&disk->ram, DISK_RAM_GPA, 4U << 20);
	ring_driver_init(&disk->ring, &disk->ram, 0, DISK_QUEUE_SIZE, true);
	disk->header_gpa = guest_ram_allocate(&disk->ram, 4096, 4096);
	disk->status_gpa = guest_ram_allocate(&disk->ram, 4096, 4096);
	disk->data_gpa = guest_ram_allocate(&disk->ram, DISK_DATA_BYTES, 4096);
}

/* The worker configured on *fd, which stays the caller's. */
static inline int disk_configure(struct disk *disk, int fd, const struct disk_options *options,
				 struct error *err)
{
	Bulkhead__Blk__Config config;
	char serial[] = "serial-0123456789";

	bulkhead__blk__config__init(&config);
	config.read_only = options->read_only;
	config.direct = options->direct;
	config.num_queues = 2;
	config.queue_size = DISK_QUEUE_SIZE;
	config.serial = serial;
	config.no_io_uring = options->threads;
	return worker_driver_configure(&disk->driver, &config.base, &fd, 1, err);
}

/* Start on *given, opened as the options say, which is the same image as disk->fd. */
static inline void disk_start_on(struct disk *disk, int given, const struct disk_options *options)
{
	struct error err = ERROR_INIT;

	if (worker_driver_start(&disk->driver, "blk", &err))
		fail_msg("start: %s", err.message);
	if (disk_configure(disk, given, options, &err))
		fail_msg("configure: %s", err.message);
	disk_make_memory(disk);
	if (!options->not_active)
		disk_activate(disk, options->refuse);
}

static inline void disk_start(struct disk *disk, const struct disk_options *options)
{
	cleanup_fd int given = -1;

	memset(disk, 0, sizeof(*disk));
	disk->fd = temporary_image(DISK_BYTES, 0);
	assert_true(disk->fd >= 0);
	disk_fill_image(disk->fd, DISK_BYTES);
	given = reopen_image(disk->fd, (options->read_only ? O_RDONLY : O_RDWR) |
					       (options->direct ? O_DIRECT : 0));
	assert_true(given >= 0);
	disk_start_on(disk, given, options);
}

/* Ends the worker, which must still be well. */
static inline void disk_stop(struct disk *disk)
{
	if (disk->driver.process.pid == 0)
		return;
	assert_false(disk->driver.closed);
	assert_int_equal(worker_driver_stop(&disk->driver), 0);
	ring_driver_destroy(&disk->ring);
	guest_ram_destroy(&disk->ram);
	close(disk->fd);
}

/* Set-up and tear-down of a cmocka test; *state is the struct disk. */
static inline int disk_set_up(void **state, const struct disk_options *options)
{
	static struct disk disk;

	*state = &disk;
	disk_start(&disk, options);
	return 0;
}

static inline int disk_set_up_uring(void **state)
{
	return disk_set_up(state, &(const struct disk_options){0});
}

static inline int disk_set_up_threads(void **state)
{
	return disk_set_up(state, &(const struct disk_options){.threads = true});
}

static inline int disk_tear_down(void **state)
{
	disk_stop(*state);
	return 0;
}

static inline uint8_t *disk_data(const struct disk *disk)
{
	return guest_ram_at(&disk->ram, disk->data_gpa);
}

static inline void disk_write_header(const struct disk *disk, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *header = guest_ram_at(&disk->ram, disk->header_gpa);

	header->type = type;
	header->ioprio = 0;
	header->sector = sector;
	*(uint8_t *)guest_ram_at(&disk->ram, disk->status_gpa) = DISK_NO_STATUS;
}

/* The status that the last request got. */
static inline uint8_t disk_status(const struct disk *disk)
{
	return *(uint8_t *)guest_ram_at(&disk->ram, disk->status_gpa);
}

/* Run a chain of segments between header and status; returns the status. */
static inline uint8_t disk_run(struct disk *disk, uint32_t type, uint64_t sector,
			       const struct ring_segment *data, unsigned count)
{
	struct ring_segment segments[DISK_QUEUE_SIZE];

	segments[0] = (struct ring_segment){disk->header_gpa, 16, false};
	if (count > 0)
		memcpy(&segments[1], data, count * sizeof(*data));
	segments[count + 1] = (struct ring_segment){disk->status_gpa, 1, true};
	disk_write_header(disk, type, sector);
	assert_true(ring_driver_add(&disk->ring, segments, count + 2) >= 0);
	if (!ring_driver_complete(&disk->ring, DISK_TIMEOUT_MS, &disk->used_length))
		fail_msg("the request was not answered");
	return disk_status(disk);
}

/* A transfer of `bytes` at the start of the data area. */
static inline uint8_t disk_transfer(struct disk *disk, uint32_t type, uint64_t sector,
				    uint32_t bytes)
{
	const struct ring_segment data = {disk->data_gpa, bytes, type != VIRTIO_BLK_T_OUT};

	return disk_run(disk, type, sector, &data, bytes > 0 ? 1 : 0);
}

static inline void disk_assert_image(const struct disk *disk, uint64_t offset, const void *expected,
				     size_t bytes)
{
	uint8_t *content = malloc(bytes);

	assert_int_equal(pread(disk->fd, content, bytes, (off_t)offset), bytes);
	assert_memory_equal(content, expected, bytes);
	free(content);
}

/* [offset, offset + bytes) of the image is as it was when the test began. */
static inline void disk_assert_untouched(const struct disk *disk, uint64_t offset, size_t bytes)
{
	uint8_t *original = malloc(bytes);

	for (size_t i = 0; i < bytes; i++)
		original[i] = disk_byte(offset + i);
	disk_assert_image(disk, offset, original, bytes);
	free(original);
}

static inline uint64_t disk_counter(struct disk *disk, const char *name)
{
	struct error err = ERROR_INIT;
	uint64_t value = 0;

	if (worker_driver_counter(&disk->driver, name, &value, &err))
		fail_msg("%s", err.message);
	return value;
}

#endif
