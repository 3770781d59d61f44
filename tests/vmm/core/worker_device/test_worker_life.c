/* SPDX-License-Identifier: Apache-2.0 */
/* A worker device from its start to its end, with things going wrong in between. */
#include "tests/vmm/core/worker_device/fake_worker.h"

#include <errno.h>
#include <string.h>

/* ---- the start ---- */

static void a_worker_that_describes_itself_well_is_ready(void **state)
{
	struct fixture *fixture = *state;

	fixture_make_ready(fixture);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_READY);
	assert_int_equal(worker_device_pid(fixture->device), FAKE_PID);
	assert_int_equal(fixture->failed, 0);
}

static void a_process_that_cannot_be_started_fails_the_device_by_name(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	error_set(&err, -ENOENT, "bulkhead-blk is not installed");
	fixture->broker.spawned(fixture->broker.spawn_opaque, 0, 0, &err);
	fixture->broker.spawned = NULL;
	assert_int_equal(fixture->ready, 1);
	assert_non_null(strstr(fixture->ready_error.message, "not installed"));
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_FAILED);
}

/* Somebody reads the counters of a VM that boots: its worker would take STATS for an attack. */
static void nothing_is_asked_of_a_worker_that_is_not_configured(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(
		worker_device_counters(fixture->device, fixture_on_counters, fixture, &err),
		-EAGAIN);
	assert_int_equal(worker_device_save(fixture->device, 100, fixture_on_state, fixture, &err),
			 -EAGAIN);
	assert_int_equal(
		worker_device_quiesce(fixture->device, 100, fixture_on_done, fixture, &err),
		-EAGAIN);
	assert_int_equal(
		worker_device_resume(fixture->device, 5000, fixture_on_done, fixture, &err),
		-EAGAIN);
	assert_int_equal(worker_device_update(fixture->device, NULL, 0, NULL, 0, fixture_on_done,
					      fixture, &err),
			 -EAGAIN);
	assert_true(worker_device_is_idle(fixture->device));
	/* The first request is CONFIGURE. */
	fixture_make_ready(fixture);
	assert_int_equal(fixture->done, 0);
}

static void nothing_is_asked_of_a_worker_that_is_lost(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_active(fixture);
	worker_die(fixture);
	fixture_wait(fixture, &fixture->failed, 1);
	assert_int_equal(
		worker_device_counters(fixture->device, fixture_on_counters, fixture, &err),
		-ENOTCONN);
	assert_int_equal(
		worker_device_quiesce(fixture->device, 100, fixture_on_done, fixture, &err),
		-ENOTCONN);
	assert_non_null(strstr(err.message, "device \"root\""));
}

static void describe(struct fixture *fixture, Bulkhead__Worker__Configured *configured)
{
	struct request request;

	fixture_spawned(fixture);
	worker_receive(fixture, MESSAGE(CONFIGURE), &request);
	worker_send_message(fixture, FRAME_REPLY, MESSAGE(CONFIGURE), request.header.id,
			    &configured->base);
	request_free(&request);
	fixture_wait(fixture, &fixture->ready, 1);
}

static void expect_refused(struct fixture *fixture, const char *text)
{
	assert_int_equal(fixture->ready, 1);
	assert_non_null(strstr(fixture->ready_error.message, "\"root\""));
	if (!strstr(fixture->ready_error.message, text))
		fail_msg("\"%s\" does not say \"%s\"", fixture->ready_error.message, text);
	assert_int_equal(fixture->broker.kills, 1);
	assert_int_equal(fixture->broker.killed_pid, FAKE_PID);
	assert_int_equal(fixture->failed, 0);
}

static void a_worker_without_queues_is_refused(void **state)
{
	Bulkhead__Worker__Configured configured = BULKHEAD__WORKER__CONFIGURED__INIT;

	describe(*state, &configured);
	expect_refused(*state, "0 queues");
}

static void a_worker_with_too_many_queues_is_refused(void **state)
{
	Bulkhead__Worker__Configured configured = BULKHEAD__WORKER__CONFIGURED__INIT;
	uint32_t sizes[VIRTIO_PCI_MAX_QUEUES + 1];

	for (unsigned i = 0; i <= VIRTIO_PCI_MAX_QUEUES; i++)
		sizes[i] = 8;
	configured.queue_sizes = sizes;
	configured.n_queue_sizes = VIRTIO_PCI_MAX_QUEUES + 1;
	describe(*state, &configured);
	expect_refused(*state, "17 queues");
}

static void queue_sizes_that_no_queue_has_are_refused(void **state)
{
	Bulkhead__Worker__Configured configured = BULKHEAD__WORKER__CONFIGURED__INIT;
	static const uint32_t bad[] = {0, 1, 3, 24, 2048, 65536, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t sizes[] = {8, bad[i]};

		if (i > 0) {
			assert_int_equal(fixture_teardown(state), 0);
			assert_int_equal(fixture_setup(state), 0);
		}
		configured.queue_sizes = sizes;
		configured.n_queue_sizes = 2;
		describe(*state, &configured);
		expect_refused(*state, "entries");
	}
}

static void a_config_space_that_is_too_large_is_refused(void **state)
{
	Bulkhead__Worker__Configured configured = BULKHEAD__WORKER__CONFIGURED__INIT;
	uint8_t space[VIRTIO_PCI_MAX_CONFIG_SPACE + 1] = {0};
	uint32_t sizes[] = {8};

	configured.queue_sizes = sizes;
	configured.n_queue_sizes = 1;
	configured.config_space.data = space;
	configured.config_space.len = sizeof(space);
	describe(*state, &configured);
	expect_refused(*state, "257 bytes");
}

static void a_worker_that_refuses_its_configuration_says_why(void **state)
{
	static const char why[] = "the image is\nno image";
	struct fixture *fixture = *state;
	struct request request;

	fixture_spawned(fixture);
	worker_receive(fixture, MESSAGE(CONFIGURE), &request);
	worker_send(fixture, FRAME_REPLY, MESSAGE(CONFIGURE), request.header.id, -EINVAL, why,
		    strlen(why), NULL, 0);
	request_free(&request);
	fixture_wait(fixture, &fixture->ready, 1);
	expect_refused(fixture, "the image is?no image");
}

static void a_worker_that_dies_before_it_is_ready_is_reported_once(void **state)
{
	struct fixture *fixture = *state;

	fixture_spawned(fixture);
	worker_die(fixture);
	fixture_wait(fixture, &fixture->ready, 1);
	fixture_run(fixture, 20);
	expect_refused(fixture, "closed the connection");
}

/* ---- the end ---- */

static void a_device_that_goes_while_its_process_is_being_started_forgets_about_it(void **state)
{
	struct fixture *fixture = *state;

	fixture_destroy_device(fixture);
	fixture_wait(fixture, &fixture->gone, 1);
	/* The broker's answer would reach freed memory. */
	assert_null(fixture->broker.spawned);
}

static void a_device_that_goes_kills_its_worker(void **state)
{
	struct fixture *fixture = *state;

	fixture_make_active(fixture);
	fixture_destroy_device(fixture);
	fixture_wait(fixture, &fixture->gone, 1);
	assert_int_equal(fixture->broker.kills, 1);
	assert_int_equal(fixture->failed, 0);
}

static void a_device_that_goes_with_a_request_open_answers_nobody(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_active(fixture);
	assert_int_equal(
		worker_device_quiesce(fixture->device, 5000, fixture_on_done, fixture, &err), 0);
	fixture_destroy_device(fixture);
	fixture_wait(fixture, &fixture->gone, 1);
	assert_int_equal(fixture->done, 0);
}

/* The VM ends because of what a worker answered: its devices go within the answer's callback. */
static void a_device_may_go_while_it_reports_the_end_of_a_request(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_active(fixture);
	fixture->in_done = fixture_destroy_device;
	assert_int_equal(worker_device_reset(fixture->device, fixture_on_done, fixture, &err), 0);
	worker_agree(fixture, MESSAGE(RESET));
	fixture_wait(fixture, &fixture->gone, 1);
	fixture_run(fixture, 20);
	assert_int_equal(fixture->done, 1);
}

static void a_device_may_go_while_its_activation_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct request request;

	fixture_make_ready(fixture);
	fixture_transport(fixture)->activation.queue_count = 1;
	fixture->in_done = fixture_destroy_device;
	assert_int_equal(
		worker_device_activate_restored(fixture->device, fixture_on_done, fixture, &err),
		0);
	worker_receive(fixture, MESSAGE(ACTIVATE), &request);
	worker_send(fixture, FRAME_REPLY, MESSAGE(ACTIVATE), request.header.id, -EINVAL, "no", 2,
		    NULL, 0);
	request_free(&request);
	fixture_wait(fixture, &fixture->gone, 1);
	fixture_run(fixture, 20);
	assert_int_equal(fixture->done_error.code, -EINVAL);
}

static void a_device_may_go_at_once_when_there_is_nothing_to_reset(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_ready(fixture);
	fixture->in_done = fixture_destroy_device;
	assert_int_equal(worker_device_reset(fixture->device, fixture_on_done, fixture, &err), 0);
	fixture_wait(fixture, &fixture->gone, 1);
	fixture_run(fixture, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_worker_that_describes_itself_well_is_ready),
		TEST(a_process_that_cannot_be_started_fails_the_device_by_name),
		TEST(nothing_is_asked_of_a_worker_that_is_not_configured),
		TEST(nothing_is_asked_of_a_worker_that_is_lost),
		TEST(a_worker_without_queues_is_refused),
		TEST(a_worker_with_too_many_queues_is_refused),
		TEST(queue_sizes_that_no_queue_has_are_refused),
		TEST(a_config_space_that_is_too_large_is_refused),
		TEST(a_worker_that_refuses_its_configuration_says_why),
		TEST(a_worker_that_dies_before_it_is_ready_is_reported_once),
		TEST(a_device_that_goes_while_its_process_is_being_started_forgets_about_it),
		TEST(a_device_that_goes_kills_its_worker),
		TEST(a_device_that_goes_with_a_request_open_answers_nobody),
		TEST(a_device_may_go_while_it_reports_the_end_of_a_request),
		TEST(a_device_may_go_while_its_activation_is_refused),
		TEST(a_device_may_go_at_once_when_there_is_nothing_to_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
