/* SPDX-License-Identifier: Apache-2.0 */
/* The rng worker in its sandbox, driven over its socket and ring. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/cleanup.h"
#include "proto/rng.pb-c.h"
#include "tests/devworkers/common/worker_driver.h"

#define RAM_BYTES	  (4U << 20)
#define RING_SIZE	  64
#define WAIT_MS		  5000U
#define NOT_WITHIN_MS	  100U
#define BUFFER_BYTES	  (1U << 20)
#define MAX_BYTES_A_CHAIN (64U * 1024)

struct rng_guest {
	struct worker_driver driver;
	struct guest_ram ram;
	struct ring_driver ring;
	struct ring_driver *ring_list[1];
	uint64_t buffer; /* gpa, BUFFER_BYTES, zero */
};

static int start(void **state)
{
	struct rng_guest *guest = calloc(1, sizeof(*guest));
	struct error err = ERROR_INIT;

	assert_non_null(guest);
	*state = guest;
	if (worker_driver_start(&guest->driver, "rng", &err) < 0) {
		if (err.code != -EPERM && err.code != -EACCES)
			fail_msg("%s", err.message);
		print_message("skip: no sandboxed process can be started: %s\n", err.message);
		skip();
	}
	guest_ram_init(&guest->ram, 0, RAM_BYTES);
	ring_driver_init(&guest->ring, &guest->ram, 0, RING_SIZE, true);
	guest->ring_list[0] = &guest->ring;
	guest->buffer = guest_ram_allocate(&guest->ram, BUFFER_BYTES, 4096);
	return 0;
}

static int stop(void **state)
{
	struct rng_guest *guest = *state;
	int status = worker_driver_stop(&guest->driver);

	ring_driver_destroy(&guest->ring);
	guest_ram_destroy(&guest->ram);
	free(guest);
	return status;
}

static void configure_with(struct rng_guest *guest, int source_fd)
{
	Bulkhead__Rng__Config config;
	struct error err = ERROR_INIT;

	bulkhead__rng__config__init(&config);
	config.has_source = source_fd >= 0;
	if (worker_driver_configure(&guest->driver, &config.base, &source_fd, source_fd >= 0,
				    &err) < 0)
		fail_msg("%s", err.message);
}

static void activate(struct rng_guest *guest)
{
	struct error err = ERROR_INIT;

	if (worker_driver_activate_simple(&guest->driver, &guest->ram, guest->ring_list, 1, &err) <
	    0)
		fail_msg("%s", err.message);
}

static void add_buffer(struct rng_guest *guest, uint32_t offset, uint32_t bytes)
{
	struct ring_segment segment = {guest->buffer + offset, bytes, true};

	assert_true(ring_driver_add(&guest->ring, &segment, 1) >= 0);
}

static bool is_zero(const struct rng_guest *guest, size_t offset, size_t bytes)
{
	const uint8_t *data = guest_ram_at(&guest->ram, guest->buffer + offset);

	for (size_t i = 0; i < bytes; i++)
		if (data[i] != 0)
			return false;
	return true;
}

static void a_buffer_is_filled_and_nothing_beside_it(void **state)
{
	struct rng_guest *guest = *state;
	uint32_t length = 0;

	configure_with(guest, -1);
	activate(guest);
	add_buffer(guest, 64, 64);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, &length));
	assert_int_equal(length, 64);
	assert_false(is_zero(guest, 64, 64));
	assert_true(is_zero(guest, 0, 64));
	assert_true(is_zero(guest, 128, 64));
}

static void two_buffers_hold_different_bytes(void **state)
{
	struct rng_guest *guest = *state;

	configure_with(guest, -1);
	activate(guest);
	for (uint32_t offset = 0; offset < 64; offset += 32) {
		add_buffer(guest, offset, 32);
		assert_true(ring_driver_complete(&guest->ring, WAIT_MS, NULL));
	}
	assert_memory_not_equal(guest_ram_at(&guest->ram, guest->buffer),
				guest_ram_at(&guest->ram, guest->buffer + 32), 32);
}

static void the_segments_of_a_chain_are_filled_in_order(void **state)
{
	struct rng_guest *guest = *state;
	struct ring_segment segments[] = {{guest->buffer, 16, true},
					  {guest->buffer + 4096, 16, true}};
	uint32_t length = 0;

	configure_with(guest, -1);
	activate(guest);
	assert_true(ring_driver_add(&guest->ring, segments, 2) >= 0);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, &length));
	assert_int_equal(length, 32);
	assert_false(is_zero(guest, 0, 16));
	assert_true(is_zero(guest, 16, 4080));
	assert_false(is_zero(guest, 4096, 16));
}

static void a_huge_buffer_is_answered_in_part(void **state)
{
	struct rng_guest *guest = *state;
	uint32_t length = 0;

	configure_with(guest, -1);
	activate(guest);
	add_buffer(guest, 0, BUFFER_BYTES);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, &length));
	assert_int_equal(length, MAX_BYTES_A_CHAIN);
	assert_false(is_zero(guest, MAX_BYTES_A_CHAIN - 32, 32));
	assert_true(is_zero(guest, MAX_BYTES_A_CHAIN, BUFFER_BYTES - MAX_BYTES_A_CHAIN));
}

static void a_full_queue_is_served_over_several_turns(void **state)
{
	struct rng_guest *guest = *state;
	unsigned done = 0;

	configure_with(guest, -1);
	activate(guest);
	for (unsigned i = 0; i < RING_SIZE; i++)
		add_buffer(guest, i * 16384, 16384);
	ring_driver_kick(&guest->ring);
	while (done < RING_SIZE && ring_driver_wait(&guest->ring, WAIT_MS)) {
		uint16_t head;
		uint32_t length;

		while (ring_driver_take(&guest->ring, &head, &length)) {
			assert_int_equal(length, 16384);
			done++;
		}
	}
	assert_int_equal(done, RING_SIZE);
}

static void a_buffer_that_cannot_be_written_is_given_back_empty(void **state)
{
	struct rng_guest *guest = *state;
	struct ring_segment segment = {guest->buffer, 64, false};
	uint32_t length = 99;

	configure_with(guest, -1);
	activate(guest);
	assert_true(ring_driver_add(&guest->ring, &segment, 1) >= 0);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, &length));
	assert_int_equal(length, 0);
	assert_true(is_zero(guest, 0, 64));
}

static void a_malformed_chain_asks_for_a_reset_and_the_worker_lives(void **state)
{
	struct rng_guest *guest = *state;
	struct error err = ERROR_INIT;
	uint64_t requests;

	configure_with(guest, -1);
	activate(guest);
	ring_driver_offer(&guest->ring, RING_SIZE);
	ring_driver_kick_always(&guest->ring);
	assert_true(worker_driver_wait_event(&guest->driver, &guest->driver.needs_reset_count, 1,
					     WAIT_MS));
	assert_int_equal(worker_driver_counter(&guest->driver, "requests", &requests, &err), 0);
	assert_int_equal(worker_driver_reset(&guest->driver, 1000, &err), 0);
	ring_driver_reset(&guest->ring);
	activate(guest);
	add_buffer(guest, 0, 16);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, NULL));
}

static void bytes_come_from_the_source_that_was_given(void **state)
{
	struct rng_guest *guest = *state;
	cleanup_fd int source = memfd_create("source", MFD_CLOEXEC);
	uint32_t length = 0;

	assert_int_equal(write(source, "from the source", 15), 15);
	assert_int_equal(lseek(source, 0, SEEK_SET), 0);
	configure_with(guest, source);
	activate(guest);
	add_buffer(guest, 0, 10);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, &length));
	assert_int_equal(length, 10);
	assert_memory_equal(guest_ram_at(&guest->ram, guest->buffer), "from the s", 10);
}

static void a_source_that_ends_asks_for_a_reset(void **state)
{
	struct rng_guest *guest = *state;
	cleanup_fd int source = open("/dev/null", O_RDONLY | O_CLOEXEC);

	configure_with(guest, source);
	activate(guest);
	add_buffer(guest, 0, 10);
	ring_driver_kick(&guest->ring);
	assert_true(worker_driver_wait_event(&guest->driver, &guest->driver.needs_reset_count, 1,
					     WAIT_MS));
	assert_string_equal(guest->driver.needs_reset_reason,
			    "the source of random bytes has ended");
	assert_true(is_zero(guest, 0, 10));
}

static void a_source_without_bytes_makes_the_guest_wait_and_nobody_else(void **state)
{
	struct rng_guest *guest = *state;
	struct error err = ERROR_INIT;
	uint64_t requests = 99;
	uint32_t length = 0;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	configure_with(guest, fds[0]);
	activate(guest);
	add_buffer(guest, 0, 10);
	ring_driver_kick(&guest->ring);
	assert_false(ring_driver_wait(&guest->ring, NOT_WITHIN_MS));
	assert_int_equal(worker_driver_counter(&guest->driver, "requests", &requests, &err), 0);
	assert_int_equal(requests, 0);
	assert_int_equal(write(fds[1], "late", 4), 4);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, &length));
	assert_int_equal(length, 4);
	assert_memory_equal(guest_ram_at(&guest->ram, guest->buffer), "late", 4);
	close(fds[0]);
	close(fds[1]);
}

static void a_request_that_waits_for_the_source_survives_quiesce_and_resume(void **state)
{
	struct rng_guest *guest = *state;
	struct error err = ERROR_INIT;
	uint32_t length = 0;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	configure_with(guest, fds[0]);
	activate(guest);
	add_buffer(guest, 0, 10);
	ring_driver_kick(&guest->ring);
	assert_false(ring_driver_wait(&guest->ring, NOT_WITHIN_MS));
	assert_int_equal(worker_driver_quiesce(&guest->driver, 1000, &err), 0);
	assert_int_equal(write(fds[1], "late", 4), 4);
	assert_false(ring_driver_wait(&guest->ring, NOT_WITHIN_MS));
	assert_int_equal(worker_driver_resume(&guest->driver, &err), 0);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, &length));
	assert_int_equal(length, 4);
	close(fds[0]);
	close(fds[1]);
}

static void the_device_goes_on_in_another_process(void **state)
{
	struct rng_guest *guest = *state;
	struct worker_driver_activation activation = {
		.ram = &guest->ram, .rings = guest->ring_list, .ring_count = 1, .restored = true};
	struct error err = ERROR_INIT;
	uint8_t *saved = NULL;
	size_t saved_bytes = 0;

	configure_with(guest, -1);
	activate(guest);
	add_buffer(guest, 0, 16);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, NULL));
	assert_int_equal(worker_driver_quiesce(&guest->driver, 1000, &err), 0);
	assert_int_equal(worker_driver_save_state(&guest->driver, &saved, &saved_bytes, &err), 0);
	assert_int_equal(worker_driver_stop(&guest->driver), 0);
	assert_int_equal(worker_driver_start(&guest->driver, "rng", &err), 0);
	if (worker_driver_configure_saved(&guest->driver, NULL, NULL, 0, saved, saved_bytes, &err) <
		    0 ||
	    worker_driver_activate(&guest->driver, &activation, NULL, &err) < 0)
		fail_msg("%s", err.message);
	add_buffer(guest, 64, 16);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, NULL));
	assert_false(is_zero(guest, 64, 16));
	free(saved);
}

static void what_is_written_is_marked_dirty(void **state)
{
	struct rng_guest *guest = *state;
	size_t log_bytes = RAM_BYTES / 4096 / 8;
	cleanup_fd int log_fd = guest_ram_log_file(log_bytes);
	struct error err = ERROR_INIT;
	uint64_t page = (guest->buffer + 4096) / 4096;
	uint8_t *log = mmap(NULL, log_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, 0);

	assert_ptr_not_equal(log, MAP_FAILED);
	configure_with(guest, -1);
	activate(guest);
	assert_int_equal(worker_driver_dirty_log(&guest->driver, log_fd, &err), 0);
	add_buffer(guest, 4096, 16);
	assert_true(ring_driver_complete(&guest->ring, WAIT_MS, NULL));
	assert_true(log[page / 8] & (1U << (page % 8)));
	page++;
	assert_false(log[page / 8] & (1U << (page % 8)));
	munmap(log, log_bytes);
}

/* A bad configuration ends the worker; a fresh one takes its place for the teardown. */
static void assert_configuration_is_refused(struct rng_guest *guest, const ProtobufCMessage *config,
					    const int *fds, unsigned fd_count)
{
	struct error err = ERROR_INIT;

	assert_true(worker_driver_configure(&guest->driver, config, fds, fd_count, &err) < 0);
	assert_true(worker_driver_wait_end(&guest->driver, WAIT_MS));
	(void)worker_driver_stop(&guest->driver);
	assert_int_equal(worker_driver_start(&guest->driver, "rng", &err), 0);
}

static void a_source_that_cannot_be_read_is_refused(void **state)
{
	struct rng_guest *guest = *state;
	cleanup_fd int sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	Bulkhead__Rng__Config config;

	bulkhead__rng__config__init(&config);
	config.has_source = true;
	assert_configuration_is_refused(guest, &config.base, &sink, 1);
}

static void a_missing_source_is_refused(void **state)
{
	Bulkhead__Rng__Config config;

	bulkhead__rng__config__init(&config);
	config.has_source = true;
	assert_configuration_is_refused(*state, &config.base, NULL, 0);
}

int main(void)
{
#define RNG_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		RNG_TEST(a_buffer_is_filled_and_nothing_beside_it),
		RNG_TEST(two_buffers_hold_different_bytes),
		RNG_TEST(the_segments_of_a_chain_are_filled_in_order),
		RNG_TEST(a_huge_buffer_is_answered_in_part),
		RNG_TEST(a_full_queue_is_served_over_several_turns),
		RNG_TEST(a_buffer_that_cannot_be_written_is_given_back_empty),
		RNG_TEST(a_malformed_chain_asks_for_a_reset_and_the_worker_lives),
		RNG_TEST(bytes_come_from_the_source_that_was_given),
		RNG_TEST(a_source_that_ends_asks_for_a_reset),
		RNG_TEST(a_source_without_bytes_makes_the_guest_wait_and_nobody_else),
		RNG_TEST(a_request_that_waits_for_the_source_survives_quiesce_and_resume),
		RNG_TEST(the_device_goes_on_in_another_process),
		RNG_TEST(what_is_written_is_marked_dirty),
		RNG_TEST(a_source_that_cannot_be_read_is_refused),
		RNG_TEST(a_missing_source_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
