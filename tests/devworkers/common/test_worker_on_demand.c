/* SPDX-License-Identifier: Apache-2.0 */
/* Memory on demand: a worker's every touch of guest memory is served through its userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include <cmocka.h>

#include "devworkers/common/on_demand.h"
#include "ipc/cleanup.h"
#include "tests/devworkers/common/echo_device.h"

#define PAGE 4096U

static int open_device(void)
{
	int fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		print_message("skip: /dev/userfaultfd cannot be opened: %s\n", strerror(errno));
		skip();
	}
	return fd;
}

/* Serve one fault out of `content`, a copy of the memory. False: none within timeout_ms. */
static bool serve_fault(int userfaultfd, uint64_t base, const uint8_t *content, unsigned timeout_ms)
{
	struct pollfd ready = {userfaultfd, POLLIN, 0};
	struct uffd_msg message;
	struct uffdio_copy copy = {.len = PAGE};

	if (poll(&ready, 1, (int)timeout_ms) != 1 ||
	    read(userfaultfd, &message, sizeof(message)) != (ssize_t)sizeof(message))
		return false;
	assert_int_equal(message.event, UFFD_EVENT_PAGEFAULT);
	copy.dst = message.arg.pagefault.address & ~(uint64_t)(PAGE - 1);
	copy.src = (uintptr_t)content + (copy.dst - base);
	assert_int_equal(ioctl(userfaultfd, UFFDIO_COPY, &copy), 0);
	return true;
}

static void registered_memory_asks_for_its_pages(void **state)
{
	cleanup_fd int device = open_device();
	struct guest_memory memory = GUEST_MEMORY_INIT;
	struct error err = ERROR_INIT;
	int userfaultfd;

	(void)state;
	assert_int_equal(guest_memory_add_region(&memory, 0, 16 * PAGE,
						 guest_ram_log_file(16 * PAGE), 0, &err),
			 0);
	userfaultfd = on_demand_register(&memory, device, &err);
	if (userfaultfd < 0)
		fail_msg("%s", err.message);
	/* The kernel says so: the range cannot be registered with another one. */
	assert_true(on_demand_register(&memory, device, &err) < 0);
	close(userfaultfd);
	guest_memory_destroy(&memory);
}

static void something_that_is_not_the_device_is_an_error(void **state)
{
	struct guest_memory memory = GUEST_MEMORY_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_true(on_demand_register(&memory, -1, &err) < 0);
	assert_true(on_demand_register(&memory, STDERR_FILENO, &err) < 0);
}

/* The guest's memory as it was, moved aside; the worker's memory file is empty. */
static uint8_t *take_memory_away(struct echo_device *echo)
{
	uint8_t *content = mmap(NULL, ECHO_RAM_BYTES, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(content, MAP_FAILED);
	memcpy(content, echo->ram.hva, ECHO_RAM_BYTES);
	assert_int_equal(fallocate(echo->ram.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   ECHO_RAM_BYTES),
			 0);
	return content;
}

static void a_worker_answers_a_request_out_of_memory_that_is_served(void **state)
{
	struct echo_device *echo = *state;
	cleanup_fd int device = open_device();
	const struct worker_driver_activation activation = {
		.ram = &echo->ram,
		.rings = echo->ring_list,
		.ring_count = 2,
		.userfaultfd_device_fd = device,
	};
	struct error err = ERROR_INIT;
	cleanup_fd int userfaultfd = -1;
	uint8_t *content;

	assert_true(echo_device_add(echo, 0, "on demand") >= 0);
	content = take_memory_away(echo);
	if (worker_driver_activate(&echo->driver, &activation, &userfaultfd, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(userfaultfd >= 0);
	while (serve_fault(userfaultfd, echo->driver.region_address, content, ECHO_NOT_WITHIN_MS))
		;
	assert_true(ring_driver_wait(&echo->rings[0], ECHO_WAIT_MS));
	assert_string_equal(guest_ram_at(&echo->ram, echo->answer), "on demand");
	munmap(content, ECHO_RAM_BYTES);
}

/* The last copy to go would turn what is missing into zeros. */
static void a_worker_keeps_a_copy_of_its_userfaultfd(void **state)
{
	struct echo_device *echo = *state;
	cleanup_fd int device = open_device();
	const struct worker_driver_activation activation = {
		.ram = &echo->ram,
		.rings = echo->ring_list,
		.ring_count = 2,
		.userfaultfd_device_fd = device,
	};
	struct error err = ERROR_INIT;
	int userfaultfd;

	assert_true(echo_device_add(echo, 0, "lost") >= 0);
	munmap(take_memory_away(echo), ECHO_RAM_BYTES);
	assert_int_equal(worker_driver_activate(&echo->driver, &activation, &userfaultfd, &err), 0);
	close(userfaultfd);
	(void)poll(NULL, 0, (int)ECHO_NOT_WITHIN_MS);
	/* It waits for the page of the ring: none was made out of nothing. */
	assert_int_equal(lseek(echo->ram.fd, 0, SEEK_DATA), -1);
	assert_int_equal(errno, ENXIO);
	(void)worker_launch_reap(&echo->driver.process, 0);
	channel_destroy(echo->driver.channel);
}

static void nothing_is_touched_before_the_answer_to_activate(void **state)
{
	struct echo_device *echo = *state;
	cleanup_fd int device = open_device();
	const struct worker_driver_activation activation = {
		.ram = &echo->ram,
		.rings = echo->ring_list,
		.ring_count = 2,
		.userfaultfd_device_fd = device,
		.quiesced = true,
	};
	struct error err = ERROR_INIT;
	cleanup_fd int userfaultfd = -1;
	struct pollfd ready = {.events = POLLIN};

	munmap(take_memory_away(echo), ECHO_RAM_BYTES);
	assert_int_equal(worker_driver_activate(&echo->driver, &activation, &userfaultfd, &err), 0);
	ready.fd = userfaultfd;
	assert_int_equal(poll(&ready, 1, (int)ECHO_NOT_WITHIN_MS), 0);
}

static void activation_on_demand_without_the_device_fails(void **state)
{
	struct echo_device *echo = *state;
	const struct worker_driver_activation activation = {
		.ram = &echo->ram,
		.rings = echo->ring_list,
		.ring_count = 2,
		.userfaultfd_device_fd = echo->ram.fd, /* something else */
	};
	struct error err = ERROR_INIT;

	assert_true(worker_driver_activate(&echo->driver, &activation, NULL, &err) < 0);
	assert_non_null(strstr(err.message, "userfaultfd"));
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(echo_device_works(echo, "without"));
}

#define CONFIGURED(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, echo_device_start_configured, echo_device_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registered_memory_asks_for_its_pages),
		cmocka_unit_test(something_that_is_not_the_device_is_an_error),
		CONFIGURED(a_worker_answers_a_request_out_of_memory_that_is_served),
		CONFIGURED(a_worker_keeps_a_copy_of_its_userfaultfd),
		CONFIGURED(nothing_is_touched_before_the_answer_to_activate),
		CONFIGURED(activation_on_demand_without_the_device_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
