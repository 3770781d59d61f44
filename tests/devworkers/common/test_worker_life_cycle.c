/* SPDX-License-Identifier: Apache-2.0 */
/* The life cycle of proto/worker.proto, spoken to a real worker in its real sandbox. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/devworkers/common/echo_device.h"

#define VERSION_1 (UINT64_C(1) << 32)

static void configured_says_features_config_space_and_queues(void **state)
{
	struct echo_device *echo = *state;

	assert_true(echo->driver.features & VERSION_1);
	assert_true(echo->driver.features & (UINT64_C(1) << 5));
	assert_true(echo->driver.features & (UINT64_C(1) << 28)); /* INDIRECT_DESC */
	assert_true(echo->driver.features & (UINT64_C(1) << 29)); /* EVENT_IDX */
	assert_int_equal(echo->driver.config_space_bytes, 8);
	assert_int_equal(echo->driver.queue_count, 2);
	assert_int_equal(echo->driver.queue_sizes[0], 64);
}

static void a_bad_config_is_answered_and_ends_the_worker(void **state)
{
	struct echo_device *echo = *state;
	Bulkhead__Worker__Configure request;
	uint8_t bad = 0xff;
	struct error err = ERROR_INIT;

	bulkhead__worker__configure__init(&request);
	request.device.data = &bad;
	request.device.len = 1;
	assert_int_equal(worker_driver_call(&echo->driver,
					    BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_CONFIGURE,
					    &request.base, NULL, 0, NULL, NULL, &err),
			 -EINVAL);
	assert_non_null(strstr(err.message, "bad config"));
	assert_true(worker_driver_wait_end(&echo->driver, ECHO_WAIT_MS));
}

static void a_running_worker_answers_requests(void **state)
{
	struct echo_device *echo = *state;

	for (unsigned i = 0; i < 100; i++)
		assert_true(echo_device_works(echo, "hello"));
	assert_int_equal(echo_device_counter(echo, "requests"), 100);
	assert_int_equal(echo_device_counter(echo, "activations"), 1);
}

static void requests_that_wait_at_activation_are_answered_without_a_kick(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_true(echo_device_add(echo, 0, "early") >= 0);
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(ring_driver_wait(&echo->rings[0], ECHO_WAIT_MS));
}

static void features_that_were_not_offered_are_refused(void **state)
{
	struct echo_device *echo = *state;
	struct worker_driver_activation activation = {
		.ram = &echo->ram, .rings = echo->ring_list, .ring_count = 2};
	struct error err = ERROR_INIT;

	activation.features = VERSION_1 | (UINT64_C(1) << 40);
	assert_int_equal(worker_driver_activate(&echo->driver, &activation, NULL, &err), -EINVAL);
	activation.features = UINT64_C(1) << 5; /* without VERSION_1 */
	assert_int_equal(worker_driver_activate(&echo->driver, &activation, NULL, &err), -EINVAL);
	activation.features = VERSION_1;
	assert_int_equal(worker_driver_activate(&echo->driver, &activation, NULL, &err), 0);
}

static void a_failed_activation_can_be_tried_again(void **state)
{
	struct echo_device *echo = *state;
	uint64_t right = echo->rings[0].device_area;
	struct error err = ERROR_INIT;

	echo->rings[0].device_area = ECHO_RAM_BYTES;
	assert_int_equal(echo_device_activate(echo, false, &err), -EINVAL);
	echo->rings[0].device_area = right;
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(echo_device_works(echo, "after all"));
}

static void queues_that_do_not_exist_or_come_twice_are_refused(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	echo->rings[1].index = 2;
	assert_int_equal(echo_device_activate(echo, false, &err), -EINVAL);
	echo->rings[1].index = 0;
	assert_int_equal(echo_device_activate(echo, false, &err), -EINVAL);
	echo->rings[1].index = 1;
	echo->rings[1].size = 128; /* more than was offered */
	assert_int_equal(echo_device_activate(echo, false, &err), -EINVAL);
	echo->rings[1].size = 12;
	assert_int_equal(echo_device_activate(echo, false, &err), -EINVAL);
}

static void memory_that_its_file_does_not_hold_is_refused(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	echo->ram.size_bytes *= 2;
	assert_int_equal(echo_device_activate(echo, false, &err), -EINVAL);
	echo->ram.size_bytes /= 2;
}

static void a_reset_device_can_be_activated_again_with_other_rings(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_true(echo_device_works(echo, "first"));
	assert_int_equal(worker_driver_reset(&echo->driver, 1000, &err), 0);
	assert_int_equal(echo_device_counter(echo, "resets"), 1);
	ring_driver_destroy(&echo->rings[0]);
	ring_driver_init(&echo->rings[0], &echo->ram, 0, 4, false);
	ring_driver_reset(&echo->rings[1]);
	assert_int_equal(echo_device_activate(echo, false, &err), 0);
	assert_true(echo_device_works(echo, "second"));
}

static void a_second_activation_is_a_violation_that_ends_the_worker(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_true(echo_device_activate(echo, false, &err) < 0);
	assert_true(worker_driver_wait_end(&echo->driver, ECHO_WAIT_MS));
	assert_int_equal(WEXITSTATUS(worker_driver_stop(&echo->driver)), 1);
}

static void saving_a_running_device_is_a_violation(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;
	uint8_t *bytes;
	size_t length;

	assert_true(worker_driver_save_state(&echo->driver, &bytes, &length, &err) < 0);
	assert_true(worker_driver_wait_end(&echo->driver, ECHO_WAIT_MS));
	assert_int_equal(WEXITSTATUS(worker_driver_stop(&echo->driver)), 1);
}

static void a_wrong_number_of_descriptors_is_a_violation(void **state)
{
	struct echo_device *echo = *state;
	Bulkhead__Worker__Activate request = BULKHEAD__WORKER__ACTIVATE__INIT;
	struct error err = ERROR_INIT;

	assert_true(worker_driver_call(&echo->driver,
				       BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_ACTIVATE,
				       &request.base, &echo->ram.fd, 1, NULL, NULL, &err) < 0);
	assert_true(worker_driver_wait_end(&echo->driver, ECHO_WAIT_MS));
	assert_int_equal(WEXITSTATUS(worker_driver_stop(&echo->driver)), 1);
}

static void the_worker_ends_at_once_when_the_core_is_gone(void **state)
{
	struct echo_device *echo = *state;
	int status;

	channel_destroy(echo->driver.channel);
	echo->driver.channel = NULL;
	status = worker_launch_reap(&echo->driver.process, ECHO_WAIT_MS);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_worker_does_not_outlive_the_thread_that_started_it(void **state)
{
	int status = 0x7f; /* "stopped": neither */
	pid_t starter, worker = 0;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	starter = fork();
	assert_true(starter >= 0);
	if (starter == 0) {
		struct worker_driver driver;
		struct error err = ERROR_INIT;

		if (worker_driver_start(&driver, "echo", &err) < 0)
			driver.process.pid = 0;
		if (write(pipes[1], &driver.process.pid, sizeof(pid_t)) < 0)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &worker, sizeof(worker)), sizeof(worker));
	close(pipes[0]);
	/* The orphan becomes ours, so that we see its end and leave no zombie. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(kill(starter, SIGKILL), 0);
	assert_int_equal(waitpid(starter, NULL, 0), starter);
	if (worker == 0)
		skip();
	for (unsigned i = 0; i < 1000 && waitpid(worker, &status, WNOHANG) == 0; i++)
		usleep(5000);
	assert_true(WIFSIGNALED(status) || WIFEXITED(status));
}

static void config_changes_reach_the_core(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(echo_device_command(echo, 'c', &err), 0);
	assert_true(worker_driver_wait_event(&echo->driver, &echo->driver.config_changed_count, 1,
					     ECHO_WAIT_MS));
	assert_string_equal((const char *)echo->driver.config_space, "changed");
}

static void an_unknown_update_is_answered_with_an_error(void **state)
{
	struct echo_device *echo = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(echo_device_command(echo, '?', &err), -EINVAL);
	assert_true(echo_device_works(echo, "still here"));
}

static void ignore_reply(void *opaque, struct channel_message *message, const struct error *err)
{
	(void)opaque;
	(void)message;
	(void)err;
}

static void a_forbidden_system_call_is_told_to_the_broker(void **state)
{
	struct echo_device *echo = *state;
	Bulkhead__Worker__Update request = BULKHEAD__WORKER__UPDATE__INIT;
	uint8_t command = 'x';
	struct error err = ERROR_INIT;
	int number = -1;

	if (echo->driver.process.listener_fd < 0)
		skip();
	request.device.data = &command;
	request.device.len = 1;
	assert_true(channel_request(echo->driver.channel,
				    BULKHEAD__WORKER__MESSAGE_TYPE__MESSAGE_UPDATE, &request.base,
				    NULL, 0, 60000, ignore_reply, NULL, &err) == 0);
	for (unsigned i = 0; i < 1000 && number < 0; i++) {
		usleep(1000);
		number = worker_launch_violation(&echo->driver.process);
	}
	assert_int_equal(number, SYS_mkdir);
	channel_destroy(echo->driver.channel);
	echo->driver.channel = NULL;
	assert_true(WIFSIGNALED(worker_launch_reap(&echo->driver.process, 0)));
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, echo_device_start, echo_device_stop)
#define CONFIGURED(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, echo_device_start_configured, echo_device_stop)
#define RUNNING(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, echo_device_start_running, echo_device_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFIGURED(configured_says_features_config_space_and_queues),
		FRESH(a_bad_config_is_answered_and_ends_the_worker),
		RUNNING(a_running_worker_answers_requests),
		CONFIGURED(requests_that_wait_at_activation_are_answered_without_a_kick),
		CONFIGURED(features_that_were_not_offered_are_refused),
		CONFIGURED(a_failed_activation_can_be_tried_again),
		CONFIGURED(queues_that_do_not_exist_or_come_twice_are_refused),
		CONFIGURED(memory_that_its_file_does_not_hold_is_refused),
		RUNNING(a_reset_device_can_be_activated_again_with_other_rings),
		RUNNING(a_second_activation_is_a_violation_that_ends_the_worker),
		RUNNING(saving_a_running_device_is_a_violation),
		CONFIGURED(a_wrong_number_of_descriptors_is_a_violation),
		RUNNING(the_worker_ends_at_once_when_the_core_is_gone),
		cmocka_unit_test(the_worker_does_not_outlive_the_thread_that_started_it),
		RUNNING(config_changes_reach_the_core),
		RUNNING(an_unknown_update_is_answered_with_an_error),
		RUNNING(a_forbidden_system_call_is_told_to_the_broker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
