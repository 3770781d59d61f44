/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's driver wishes, at every moment: activation and reset. */
#include "tests/vmm/core/worker_device/fake_worker.h"

#include <errno.h>
#include <string.h>

static void the_driver_activates_and_resets_in_turn(void **state)
{
	struct fixture *fixture = *state;

	fixture_make_active(fixture);
	for (unsigned round = 1; round <= 3; round++) {
		fixture_driver_resets(fixture);
		worker_agree(fixture, MESSAGE(RESET));
		fixture_wait(fixture, &fixture_transport(fixture)->resets_done, round);
		fixture_driver_activates(fixture);
		worker_agree(fixture, MESSAGE(ACTIVATE));
	}
	fixture_run(fixture, 20);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_ACTIVE);
	assert_true(worker_device_is_idle(fixture->device));
	assert_int_equal(fixture_transport(fixture)->needs_resets, 0);
}

static void a_reset_during_an_activation_follows_it(void **state)
{
	struct fixture *fixture = *state;

	fixture_make_ready(fixture);
	fixture_driver_activates(fixture);
	fixture_run(fixture, 5);
	fixture_driver_resets(fixture);
	fixture_run(fixture, 5);
	assert_false(worker_device_is_idle(fixture->device));
	assert_int_equal(fixture_transport(fixture)->resets_done, 0);
	worker_agree(fixture, MESSAGE(ACTIVATE));
	worker_agree(fixture, MESSAGE(RESET));
	fixture_wait(fixture, &fixture_transport(fixture)->resets_done, 1);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_READY);
}

static void a_reset_before_the_loop_saw_the_activation_makes_it_void(void **state)
{
	struct fixture *fixture = *state;

	fixture_make_ready(fixture);
	fixture_driver_activates(fixture);
	fixture_driver_resets(fixture);
	fixture_wait(fixture, &fixture_transport(fixture)->resets_done, 1);
	fixture_run(fixture, 20);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_READY);
	assert_true(worker_device_is_idle(fixture->device));
}

static void an_activation_that_the_worker_refuses_is_the_drivers_mistake(void **state)
{
	struct fixture *fixture = *state;
	struct request request;

	fixture_make_ready(fixture);
	fixture_driver_activates(fixture);
	worker_receive(fixture, MESSAGE(ACTIVATE), &request);
	worker_send(fixture, FRAME_REPLY, MESSAGE(ACTIVATE), request.header.id, -EINVAL, "ring", 4,
		    NULL, 0);
	request_free(&request);
	fixture_wait(fixture, &fixture_transport(fixture)->needs_resets, 1);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_READY);
	assert_int_equal(fixture->failed, 0);
}

static void a_worker_that_cannot_reset_is_given_up_and_the_driver_goes_on(void **state)
{
	struct fixture *fixture = *state;
	struct request request;

	fixture_make_active(fixture);
	fixture_driver_resets(fixture);
	worker_receive(fixture, MESSAGE(RESET), &request);
	worker_send(fixture, FRAME_REPLY, MESSAGE(RESET), request.header.id, -EIO, "stuck", 5, NULL,
		    0);
	fixture_wait(fixture, &fixture->failed, 1);
	fixture_wait(fixture, &fixture_transport(fixture)->resets_done, 1);
	assert_int_equal(fixture->broker.kills, 1);
}

static void a_worker_that_dies_during_a_reset_lets_the_driver_go_on(void **state)
{
	struct fixture *fixture = *state;
	struct request request;

	fixture_make_active(fixture);
	fixture_driver_resets(fixture);
	worker_receive(fixture, MESSAGE(RESET), &request);
	worker_die(fixture);
	fixture_wait(fixture, &fixture->failed, 1);
	assert_int_equal(fixture_transport(fixture)->resets_done, 1);
	assert_int_equal(fixture->failed, 1);
}

/* ---- the whole machine is reset ---- */

static void a_reset_of_the_machine_waits_for_what_is_under_way(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_ready(fixture);
	fixture_driver_activates(fixture);
	fixture_run(fixture, 5);
	assert_int_equal(worker_device_reset(fixture->device, fixture_on_done, fixture, &err), 0);
	assert_int_equal(worker_device_reset(fixture->device, fixture_on_done, fixture, &err),
			 -EBUSY);
	worker_agree(fixture, MESSAGE(ACTIVATE));
	assert_int_equal(fixture->done, 0);
	worker_agree(fixture, MESSAGE(RESET));
	fixture_wait(fixture, &fixture->done, 1);
	fixture_run(fixture, 20);
	assert_int_equal(fixture->done, 1);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_READY);
}

static void a_reset_of_the_machine_makes_wishes_void(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_ready(fixture);
	fixture_driver_activates(fixture);
	assert_int_equal(worker_device_reset(fixture->device, fixture_on_done, fixture, &err), 0);
	assert_int_equal(fixture->done, 1);
	fixture_run(fixture, 20);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_READY);
	assert_true(worker_device_is_idle(fixture->device));
}

static void a_device_that_lost_its_worker_is_reset_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_active(fixture);
	worker_die(fixture);
	fixture_wait(fixture, &fixture->failed, 1);
	assert_int_equal(worker_device_reset(fixture->device, fixture_on_done, fixture, &err), 0);
	assert_int_equal(fixture->done, 1);
	assert_int_equal(fixture->done_error.code, 0);
}

static void quiesce_and_resume_are_refused_while_a_request_is_open(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_active(fixture);
	assert_int_equal(
		worker_device_quiesce(fixture->device, 5000, fixture_on_done, fixture, &err), 0);
	assert_int_equal(
		worker_device_resume(fixture->device, 5000, fixture_on_done, fixture, &err),
		-EBUSY);
	worker_agree(fixture, MESSAGE(QUIESCE));
	fixture_wait(fixture, &fixture->done, 1);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_QUIESCED);
	assert_int_equal(
		worker_device_resume(fixture->device, 5000, fixture_on_done, fixture, &err), 0);
	worker_agree(fixture, MESSAGE(RESUME));
	fixture_wait(fixture, &fixture->done, 2);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_ACTIVE);
}

static void events_reach_the_driver(void **state)
{
	Bulkhead__Worker__ConfigChanged changed = BULKHEAD__WORKER__CONFIG_CHANGED__INIT;
	Bulkhead__Worker__NeedsReset reset = BULKHEAD__WORKER__NEEDS_RESET__INIT;
	struct fixture *fixture = *state;
	uint8_t space[] = {1, 2, 3};

	fixture_make_active(fixture);
	changed.config_space.data = space;
	changed.config_space.len = sizeof(space);
	worker_send_message(fixture, FRAME_EVENT, MESSAGE(CONFIG_CHANGED), 0, &changed.base);
	worker_send_message(fixture, FRAME_EVENT, MESSAGE(NEEDS_RESET), 0, &reset.base);
	fixture_wait(fixture, &fixture_transport(fixture)->needs_resets, 1);
	assert_int_equal(fixture_transport(fixture)->config_changes, 1);
	assert_int_equal(fixture_transport(fixture)->config_bytes, 3);
	assert_int_equal(fixture->failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(the_driver_activates_and_resets_in_turn),
		TEST(a_reset_during_an_activation_follows_it),
		TEST(a_reset_before_the_loop_saw_the_activation_makes_it_void),
		TEST(an_activation_that_the_worker_refuses_is_the_drivers_mistake),
		TEST(a_worker_that_cannot_reset_is_given_up_and_the_driver_goes_on),
		TEST(a_worker_that_dies_during_a_reset_lets_the_driver_go_on),
		TEST(a_reset_of_the_machine_waits_for_what_is_under_way),
		TEST(a_reset_of_the_machine_makes_wishes_void),
		TEST(a_device_that_lost_its_worker_is_reset_at_once),
		TEST(quiesce_and_resume_are_refused_while_a_request_is_open),
		TEST(events_reach_the_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
