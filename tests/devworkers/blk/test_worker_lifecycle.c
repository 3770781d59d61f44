/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration, quiesce, saved state, update, dirty log and several queues of a real worker. */
#include "tests/devworkers/blk/disk_fixture.h"

#include <endian.h>
#include <errno.h>
#include <sys/mman.h>

/* ---- configuration ------------------------------------------------------------------------- */

struct refusal {
	uint32_t queues, queue_size, image_bytes;
	const char *serial;
	unsigned fd_count;
	bool read_only;
	const char *reason;
};

static void try_refusal(const struct refusal *refusal)
{
	struct worker_driver driver;
	Bulkhead__Blk__Config config;
	struct error err = ERROR_INIT;
	char serial[64];
	cleanup_fd int fd = temporary_image(refusal->image_bytes, 0);
	const int fds[2] = {fd, fd};

	bulkhead__blk__config__init(&config);
	(void)snprintf(serial, sizeof(serial), "%s", refusal->serial);
	config.num_queues = refusal->queues;
	config.queue_size = refusal->queue_size;
	config.serial = serial;
	config.read_only = refusal->read_only;
	assert_int_equal(worker_driver_start(&driver, "blk", &err), 0);
	assert_int_not_equal(
		worker_driver_configure(&driver, &config.base, fds, refusal->fd_count, &err), 0);
	if (!strstr(err.message, refusal->reason))
		fail_msg("\"%s\" does not say \"%s\"", err.message, refusal->reason);
	(void)worker_driver_stop(&driver);
}

static void bad_configurations_are_refused_with_the_reason(void **state)
{
	static const struct refusal refusals[] = {
		{0, 64, 512, "", 1, false, "0 queues"},
		{17, 64, 512, "", 1, false, "17 queues"},
		{1, 2, 512, "", 1, false, "queue size 2"},
		{1, 100, 512, "", 1, false, "queue size 100"},
		{1, 2048, 512, "", 1, false, "queue size 2048"},
		{1, 64, 512, "012345678901234567890", 1, false, "serial"},
		{1, 64, 512, "bell\a", 1, false, "serial"},
		{1, 64, 512, "", 0, false, "0 files"},
		{1, 64, 512, "", 2, false, "2 files"},
		{1, 64, 512, "", 1, true, "read-only"},
		{1, 64, 777, "", 1, false, "777 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		try_refusal(&refusals[i]);
}

static void configured_disk_tells_its_capacity_and_queues(void **state)
{
	struct disk *disk = *state;
	const struct virtio_blk_config *config = (const void *)disk->driver.config_space;

	assert_int_equal(le64toh(config->capacity), DISK_BYTES / 512);
	assert_int_equal(le16toh(config->num_queues), 2);
	assert_int_equal(disk->driver.queue_count, 2);
	assert_int_equal(disk->driver.queue_sizes[1], DISK_QUEUE_SIZE);
}

static void both_queues_are_served(void **state)
{
	struct disk *disk = *state;
	struct error err = ERROR_INIT;
	struct ring_driver second;
	struct ring_driver *rings[] = {&disk->ring, &second};

	assert_int_equal(worker_driver_reset(&disk->driver, DISK_TIMEOUT_MS, &err), 0);
	ring_driver_reset(&disk->ring);
	ring_driver_init(&second, &disk->ram, 1, DISK_QUEUE_SIZE, true);
	assert_int_equal(worker_driver_activate_simple(&disk->driver, &disk->ram, rings, 2, &err),
			 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	memset(disk_data(disk), 0, 512);
	for (unsigned i = 0; i < 2; i++) {
		const struct ring_segment segments[] = {{disk->header_gpa, 16, false},
							{disk->data_gpa, 512, true},
							{disk->status_gpa, 1, true}};

		disk_write_header(disk, VIRTIO_BLK_T_IN, 9);
		assert_true(ring_driver_add(rings[i], segments, 3) >= 0);
		assert_true(ring_driver_complete(rings[i], DISK_TIMEOUT_MS, NULL));
		assert_int_equal(disk_status(disk), VIRTIO_BLK_S_OK);
		assert_int_equal(disk_data(disk)[0], disk_byte(9 * 512));
	}
	ring_driver_destroy(&second);
}

/* ---- quiesce, save, restore ---------------------------------------------------------------- */

static void quiesce_finishes_what_was_popped_and_stops_popping(void **state)
{
	struct disk *disk = *state;
	const struct ring_segment segments[] = {{disk->header_gpa, 16, false},
						{disk->data_gpa, DISK_DATA_BYTES, false},
						{disk->status_gpa, 1, true}};
	struct error err = ERROR_INIT;
	uint16_t head;
	unsigned answered = 0;

	disk_write_header(disk, VIRTIO_BLK_T_OUT, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_true(ring_driver_add(&disk->ring, segments, 3) >= 0);
	(void)ring_driver_kick(&disk->ring);
	assert_int_equal(worker_driver_quiesce(&disk->driver, DISK_TIMEOUT_MS, &err), 0);
	while (ring_driver_take(&disk->ring, &head, NULL))
		answered++;
	/* Either popped and finished, or not popped at all. */
	assert_true(answered == 0 || answered == 8);
	assert_true(ring_driver_add(&disk->ring, segments, 3) >= 0);
	ring_driver_kick_always(&disk->ring);
	assert_false(ring_driver_wait(&disk->ring, 50));
	assert_int_equal(worker_driver_resume(&disk->driver, &err), 0);
	while (answered < 9 && ring_driver_wait(&disk->ring, DISK_TIMEOUT_MS))
		while (ring_driver_take(&disk->ring, &head, NULL))
			answered++;
	assert_int_equal(answered, 9);
}

static void saved_disk_goes_on_in_another_process(void **state)
{
	struct disk *disk = *state;
	struct ring_driver *rings[] = {&disk->ring};
	struct worker_driver_activation activation = {
		.ram = &disk->ram, .rings = rings, .ring_count = 1, .restored = true};
	Bulkhead__Blk__Config config;
	struct error err = ERROR_INIT;
	cleanup_fd int image = reopen_image(disk->fd, O_RDWR);
	uint8_t *saved = NULL;
	size_t saved_bytes = 0;

	memset(disk_data(disk), 0x42, 512);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 7, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(worker_driver_quiesce(&disk->driver, DISK_TIMEOUT_MS, &err), 0);
	assert_int_equal(worker_driver_save_state(&disk->driver, &saved, &saved_bytes, &err), 0);
	assert_int_equal(worker_driver_stop(&disk->driver), 0);

	bulkhead__blk__config__init(&config);
	config.num_queues = 2;
	config.queue_size = DISK_QUEUE_SIZE;
	assert_int_equal(worker_driver_start(&disk->driver, "blk", &err), 0);
	if (worker_driver_configure_saved(&disk->driver, &config.base, &image, 1, saved,
					  saved_bytes, &err))
		fail_msg("%s", err.message);
	if (worker_driver_activate(&disk->driver, &activation, NULL, &err))
		fail_msg("%s", err.message);
	memset(disk_data(disk), 0, 512);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 7, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_data(disk)[511], 0x42);
	free(saved);
}

static void state_of_an_image_of_another_size_is_refused(void **state)
{
	struct disk *disk = *state;
	Bulkhead__Blk__Config config;
	struct worker_driver other;
	struct error err = ERROR_INIT;
	cleanup_fd int image = temporary_image(DISK_BYTES + 512, 0);
	uint8_t *saved = NULL;
	size_t saved_bytes = 0;

	assert_int_equal(worker_driver_quiesce(&disk->driver, DISK_TIMEOUT_MS, &err), 0);
	assert_int_equal(worker_driver_save_state(&disk->driver, &saved, &saved_bytes, &err), 0);
	bulkhead__blk__config__init(&config);
	config.num_queues = 2;
	config.queue_size = DISK_QUEUE_SIZE;
	assert_int_equal(worker_driver_start(&other, "blk", &err), 0);
	assert_int_not_equal(worker_driver_configure_saved(&other, &config.base, &image, 1, saved,
							   saved_bytes, &err),
			     0);
	assert_non_null(strstr(err.message, "1048576"));
	assert_non_null(strstr(err.message, "1049088"));
	(void)worker_driver_stop(&other);
	free(saved);
}

static void reset_disk_can_be_activated_again(void **state)
{
	struct disk *disk = *state;
	struct error err = ERROR_INIT;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 0, 4096), VIRTIO_BLK_S_OK);
		assert_int_equal(worker_driver_reset(&disk->driver, DISK_TIMEOUT_MS, &err), 0);
		ring_driver_reset(&disk->ring);
		disk_activate(disk, 0);
	}
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

/* ---- update -------------------------------------------------------------------------------- */

static int update(struct disk *disk, uint64_t size_bytes, const int *fds, unsigned fd_count,
		  struct error *err)
{
	Bulkhead__Blk__Update message;

	bulkhead__blk__update__init(&message);
	message.size_bytes = size_bytes;
	return worker_driver_update(&disk->driver, &message.base, fds, fd_count, err);
}

static void grown_image_has_its_new_capacity(void **state)
{
	struct disk *disk = *state;
	const struct virtio_blk_config *config = (const void *)disk->driver.config_space;
	struct error err = ERROR_INIT;

	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 2048, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ftruncate(disk->fd, 2 * DISK_BYTES), 0);
	assert_int_equal(update(disk, 2 * DISK_BYTES, NULL, 0, &err), 0);
	assert_true(worker_driver_wait_event(&disk->driver, &disk->driver.config_changed_count, 1,
					     DISK_TIMEOUT_MS));
	assert_int_equal(le64toh(config->capacity), 4096);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 4095, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 4096, 512), VIRTIO_BLK_S_IOERR);
}

static int grow(struct disk *disk, uint64_t size_bytes, struct error *err)
{
	Bulkhead__Blk__Update message;

	bulkhead__blk__update__init(&message);
	message.size_bytes = size_bytes;
	message.grow = true;
	return worker_driver_update(&disk->driver, &message.base, NULL, 0, err);
}

static void image_is_grown_on_request_and_never_made_smaller(void **state)
{
	struct disk *disk = *state;
	const struct virtio_blk_config *config = (const void *)disk->driver.config_space;
	struct error err = ERROR_INIT;

	assert_int_equal(grow(disk, 2 * DISK_BYTES, &err), 0);
	assert_int_equal(lseek(disk->fd, 0, SEEK_END), 2 * DISK_BYTES);
	assert_true(worker_driver_wait_event(&disk->driver, &disk->driver.config_changed_count, 1,
					     DISK_TIMEOUT_MS));
	assert_int_equal(le64toh(config->capacity), 4096);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 4095, 512), VIRTIO_BLK_S_OK);
	assert_int_not_equal(grow(disk, DISK_BYTES, &err), 0);
	assert_non_null(strstr(err.message, "can only grow"));
	assert_int_not_equal(grow(disk, 2 * DISK_BYTES + 100, &err), 0);
	assert_int_not_equal(grow(disk, UINT64_MAX - 511, &err), 0);
	assert_int_equal(lseek(disk->fd, 0, SEEK_END), 2 * DISK_BYTES);
}

static void update_that_does_not_match_the_image_changes_nothing(void **state)
{
	struct disk *disk = *state;
	struct error err = ERROR_INIT;

	assert_int_not_equal(update(disk, 2 * DISK_BYTES, NULL, 0, &err), 0);
	assert_non_null(strstr(err.message, "2097152"));
	assert_int_equal(ftruncate(disk->fd, DISK_BYTES + 100), 0);
	assert_int_not_equal(update(disk, DISK_BYTES + 100, NULL, 0, &err), 0);
	assert_non_null(strstr(err.message, "512"));
	assert_int_equal(disk->driver.config_changed_count, 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 2047, 512), VIRTIO_BLK_S_OK);
}

static void new_image_takes_the_place_of_the_old(void **state)
{
	struct disk *disk = *state;
	struct error err = ERROR_INIT;
	cleanup_fd int image = temporary_image(4 * DISK_BYTES, 0);
	cleanup_fd int read_only = reopen_image(image, O_RDONLY);
	const char mark[512] = "the new image";

	assert_int_equal(pwrite(image, mark, sizeof(mark), 512), sizeof(mark));
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 0, 4096), VIRTIO_BLK_S_OK);
	assert_int_not_equal(update(disk, 4 * DISK_BYTES, &read_only, 1, &err), 0);
	assert_int_not_equal(update(disk, DISK_BYTES, &image, 1, &err), 0);
	assert_int_equal(update(disk, 4 * DISK_BYTES, &image, 1, &err), 0);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 1, 512), VIRTIO_BLK_S_OK);
	assert_memory_equal(disk_data(disk), mark, sizeof(mark));
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 8000, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_run(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
}

/* ---- dirty log ----------------------------------------------------------------------------- */

static bool is_dirty(const uint8_t *log, const struct disk *disk, uint64_t gpa)
{
	uint64_t page = (gpa - disk->ram.gpa) / 4096;

	return log[page / 8] >> (page % 8) & 1;
}

static void pages_that_reads_fill_are_logged(void **state)
{
	struct disk *disk = *state;
	size_t bytes = 4096; /* more than the 1024 pages need */
	cleanup_fd int fd = guest_ram_log_file(bytes);
	uint8_t *log = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct error err = ERROR_INIT;

	assert_ptr_not_equal(log, MAP_FAILED);
	if (worker_driver_dirty_log(&disk->driver, fd, &err))
		fail_msg("%s", err.message);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 0, 8192), VIRTIO_BLK_S_OK);
	assert_false(is_dirty(log, disk, disk->data_gpa));
	assert_true(is_dirty(log, disk, disk->status_gpa));
	assert_false(is_dirty(log, disk, disk->header_gpa));
	assert_true(is_dirty(log, disk, disk->ring.device_area));
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, 0, 8192), VIRTIO_BLK_S_OK);
	assert_true(is_dirty(log, disk, disk->data_gpa));
	assert_true(is_dirty(log, disk, disk->data_gpa + 4096));
	assert_false(is_dirty(log, disk, disk->data_gpa + 8192));
	munmap(log, bytes);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, disk_set_up_uring, disk_tear_down),                  \
		cmocka_unit_test_setup_teardown(test, disk_set_up_threads, disk_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_configurations_are_refused_with_the_reason),
		BOTH(configured_disk_tells_its_capacity_and_queues),
		BOTH(both_queues_are_served),
		BOTH(quiesce_finishes_what_was_popped_and_stops_popping),
		BOTH(saved_disk_goes_on_in_another_process),
		BOTH(state_of_an_image_of_another_size_is_refused),
		BOTH(reset_disk_can_be_activated_again),
		BOTH(grown_image_has_its_new_capacity),
		BOTH(image_is_grown_on_request_and_never_made_smaller),
		BOTH(update_that_does_not_match_the_image_changes_nothing),
		BOTH(new_image_takes_the_place_of_the_old),
		BOTH(pages_that_reads_fill_are_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
