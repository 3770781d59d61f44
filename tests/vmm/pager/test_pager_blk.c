/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real disk worker in its sandbox on memory that a real pager serves: rings, requests and data
 * are all missing when the worker begins, also to the kernel that reads and writes for it.
 */
#include "tests/devworkers/blk/disk_fixture.h"

#include <stdlib.h>

#include "devworkers/common/on_demand.h"
#include "tests/vmm/pager/pager_fixture.h"

struct machine {
	struct disk disk;
	struct pager_fixture pager;
};

/* What the guest has in memory by now is saved and taken away; then the pager serves it. */
static void machine_take_memory_away(struct machine *machine)
{
	struct pager_fixture *pager = &machine->pager;
	const struct guest_ram *ram = &machine->disk.ram;
	struct error err = ERROR_INIT;

	assert_int_equal(ram->size_bytes, FIXTURE_BYTES);
	saved_memory_take(&pager->saved, ram->hva, FIXTURE_CHUNKS, FIXTURE_CHUNK_BYTES);
	assert_int_equal(fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   (off_t)ram->size_bytes),
			 0);
	pager->memory.region_count = 1;
	pager->memory.regions[0] = (struct guest_memory_region){
		.gpa = ram->gpa, .size_bytes = ram->size_bytes, .hva = ram->hva, .fd = ram->fd};
	pager->userfaultfd = on_demand_register(&pager->memory, pager->device, &err);
	if (pager->userfaultfd < 0 || pager_fixture_start(pager, &err) < 0)
		fail_msg("%s", err.message);
}

static void machine_activate(struct machine *machine)
{
	struct disk *disk = &machine->disk;
	struct ring_driver *rings[] = {&disk->ring};
	const struct worker_driver_activation activation = {
		.ram = &disk->ram,
		.rings = rings,
		.ring_count = 1,
		.userfaultfd_device_fd = machine->pager.device,
	};
	struct error err = ERROR_INIT;
	int userfaultfd = -1;

	if (worker_driver_activate(&disk->driver, &activation, &userfaultfd, &err) < 0 ||
	    pager_fixture_add(&machine->pager, 1, userfaultfd, disk->driver.region_address, &err) <
		    0)
		fail_msg("%s", err.message);
	close(userfaultfd);
}

static int machine_start(void **state, bool threads)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	const struct disk_options options = {.not_active = true, .threads = threads};

	*state = machine;
	machine->pager.device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	machine->pager.userfaultfd = -1;
	disk_start(&machine->disk, &options);
	return 0;
}

static int start_uring(void **state)
{
	return machine_start(state, false);
}

static int start_threads(void **state)
{
	return machine_start(state, true);
}

static int stop(void **state)
{
	struct machine *machine = *state;
	struct pager_fixture *pager = &machine->pager;

	disk_stop(&machine->disk); /* drains: it still needs its pages */
	if (pager->channel) {
		channel_destroy(pager->channel);
		assert_int_equal(worker_launch_reap(&pager->process, 2000), 0);
		saved_memory_destroy(&pager->saved);
	}
	fd_close(&pager->userfaultfd);
	fd_close(&pager->device);
	free(machine);
	return 0;
}

static struct machine *machine_get(void **state)
{
	struct machine *machine = *state;

	if (machine->pager.device < 0) {
		print_message("skip: /dev/userfaultfd cannot be opened\n");
		skip();
	}
	return machine;
}

/* A request is in the ring when memory goes away, as in a snapshot; its buffer is missing too. */
static void a_request_of_before_is_answered_into_missing_memory(void **state)
{
	struct machine *machine = machine_get(state);
	struct disk *disk = &machine->disk;
	const struct ring_segment segments[] = {
		{disk->header_gpa, 16, false},
		{disk->data_gpa, DISK_DATA_BYTES, true},
		{disk->status_gpa, 1, true},
	};

	disk_write_header(disk, VIRTIO_BLK_T_IN, 7);
	assert_true(ring_driver_add(&disk->ring, segments, 3) >= 0);
	machine_take_memory_away(machine);
	machine_activate(machine);
	assert_true(ring_driver_complete(&disk->ring, DISK_TIMEOUT_MS, &disk->used_length));
	assert_int_equal(disk_status(disk), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < DISK_DATA_BYTES; i++)
		assert_int_equal(disk_data(disk)[i], disk_byte(7 * 512 + i));
}

static void data_of_before_reaches_the_disk(void **state)
{
	struct machine *machine = machine_get(state);
	struct disk *disk = &machine->disk;
	uint8_t expected[8192];

	for (unsigned i = 0; i < sizeof(expected); i++)
		expected[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(disk_data(disk), expected, sizeof(expected));
	machine_take_memory_away(machine);
	machine_activate(machine);
	assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_OUT, 9, sizeof(expected)),
			 VIRTIO_BLK_S_OK);
	disk_assert_image(disk, 9 * 512, expected, sizeof(expected));
}

static void uncached_data_comes_into_missing_memory_while_all_is_read_in(void **state)
{
	struct machine *machine = machine_get(state);
	struct disk *disk = &machine->disk;

	machine_take_memory_away(machine);
	machine_activate(machine);
	pager_fixture_prefault(&machine->pager, true);
	for (unsigned round = 0; round < 8; round++) {
		assert_int_equal(posix_fadvise(disk->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		assert_int_equal(disk_transfer(disk, VIRTIO_BLK_T_IN, round, DISK_DATA_BYTES),
				 VIRTIO_BLK_S_OK);
		for (unsigned i = 0; i < DISK_DATA_BYTES; i += 509)
			assert_int_equal(disk_data(disk)[i], disk_byte(round * 512 + i));
	}
}

static void the_worker_works_without_demand_too(void **state)
{
	struct machine *machine = *state;

	disk_activate(&machine->disk, 0);
	assert_int_equal(disk_transfer(&machine->disk, VIRTIO_BLK_T_IN, 1, 512), VIRTIO_BLK_S_OK);
}

#define URING(test) cmocka_unit_test_setup_teardown(test, start_uring, stop)
#define THREADS(test)                                                                              \
	{                                                                                          \
		"threads: " #test, test, start_threads, stop, NULL                                 \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		URING(a_request_of_before_is_answered_into_missing_memory),
		URING(data_of_before_reaches_the_disk),
		URING(uncached_data_comes_into_missing_memory_while_all_is_read_in),
		URING(the_worker_works_without_demand_too),
		THREADS(a_request_of_before_is_answered_into_missing_memory),
		THREADS(data_of_before_reaches_the_disk),
		THREADS(uncached_data_comes_into_missing_memory_while_all_is_read_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
