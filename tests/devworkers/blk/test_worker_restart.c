/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that is killed in the middle of its work: the next one finishes it. */
#include "tests/devworkers/blk/disk_fixture.h"

#include <signal.h>

#include "devworkers/common/inflight_log.h"

#define WRITES		20U
#define BYTES_PER_WRITE 4096U

static int start(void **state, bool threads)
{
	static struct disk disk;
	/* Without flushes every write waits for the disk: that takes its time. */
	const struct disk_options options = {.threads = threads, .not_active = true};

	*state = &disk;
	disk_start(&disk, &options);
	return 0;
}

static int start_uring(void **state)
{
	return start(state, false);
}

static int start_threads(void **state)
{
	return start(state, true);
}

static int stop(void **state)
{
	disk_stop(*state);
	return 0;
}

static void activate(struct disk *disk, int inflight_fd, bool restored)
{
	struct ring_driver *rings[] = {&disk->ring};
	const struct worker_driver_activation activation = {
		.features = disk->driver.features & ~(UINT64_C(1) << VIRTIO_BLK_F_FLUSH),
		.ram = &disk->ram,
		.rings = rings,
		.ring_count = 1,
		.restored = restored,
		.inflight_fd = inflight_fd,
	};
	struct error err = ERROR_INIT;

	if (worker_driver_activate(&disk->driver, &activation, NULL, &err))
		fail_msg("activate: %s", err.message);
}

static void add_writes(struct disk *disk)
{
	for (unsigned i = 0; i < WRITES; i++) {
		struct virtio_blk_outhdr *header =
			guest_ram_at(&disk->ram, disk->header_gpa + i * 16);
		const struct ring_segment segments[] = {
			{disk->header_gpa + i * 16, 16, false},
			{disk->data_gpa + i * BYTES_PER_WRITE, BYTES_PER_WRITE, false},
			{disk->status_gpa + i, 1, true}};

		header->type = VIRTIO_BLK_T_OUT;
		header->sector = (uint64_t)i * BYTES_PER_WRITE / 512;
		memset(disk_data(disk) + i * BYTES_PER_WRITE, (int)(0x80 + i), BYTES_PER_WRITE);
		assert_true(ring_driver_add(&disk->ring, segments, 3) >= 0);
	}
}

static void kill_worker(struct disk *disk)
{
	assert_int_equal(kill(disk->driver.process.pid, SIGKILL), 0);
	assert_true(worker_driver_wait_end(&disk->driver, DISK_TIMEOUT_MS));
	(void)worker_driver_stop(&disk->driver);
}

static void killed_worker_loses_no_request(void **state)
{
	struct disk *disk = *state;
	const struct disk_options options = {.not_active = true};
	cleanup_fd int log = guest_ram_log_file(inflight_log_bytes(2, DISK_QUEUE_SIZE));
	cleanup_fd int image = reopen_image(disk->fd, O_RDWR);
	struct error err = ERROR_INIT;
	unsigned answered = 0;
	uint16_t head;

	activate(disk, log, false);
	add_writes(disk);
	(void)ring_driver_kick(&disk->ring);
	(void)ring_driver_wait(&disk->ring, DISK_TIMEOUT_MS);
	kill_worker(disk);

	assert_int_equal(worker_driver_start(&disk->driver, "blk", &err), 0);
	if (disk_configure(disk, image, &options, &err))
		fail_msg("configure: %s", err.message);
	activate(disk, log, true);
	while (answered < WRITES && ring_driver_wait(&disk->ring, DISK_TIMEOUT_MS))
		while (ring_driver_take(&disk->ring, &head, NULL))
			answered++;
	assert_int_equal(answered, WRITES);
	assert_false(ring_driver_wait(&disk->ring, 20));
	for (unsigned i = 0; i < WRITES; i++)
		assert_int_equal(*(uint8_t *)guest_ram_at(&disk->ram, disk->status_gpa + i),
				 VIRTIO_BLK_S_OK);
	disk_assert_image(disk, 0, disk_data(disk), WRITES * BYTES_PER_WRITE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_worker_loses_no_request, start_uring, stop),
		cmocka_unit_test_setup_teardown(killed_worker_loses_no_request, start_threads,
						stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
