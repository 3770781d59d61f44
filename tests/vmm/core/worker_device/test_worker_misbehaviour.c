/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that was taken over: whatever it sends, it is cut off by name and the VM goes on. */
#include "tests/vmm/core/worker_device/fake_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devworkers/common/state_file.h"

static void expect_cut_off(struct fixture *fixture, const char *text)
{
	fixture_wait(fixture, &fixture->failed, 1);
	fixture_run(fixture, 20);
	assert_int_equal(fixture->failed, 1);
	if (strncmp(fixture->failed_error.message, "worker blk \"root\": ", 19) != 0 ||
	    !strstr(fixture->failed_error.message, text))
		fail_msg("\"%s\" does not name the worker and \"%s\"",
			 fixture->failed_error.message, text);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_FAILED);
	assert_int_equal(fixture->broker.kills, 1);
	assert_int_equal(fixture->broker.killed_pid, FAKE_PID);
	/* The guest's driver learns of it, and can still reset the device. */
	assert_int_equal(fixture_transport(fixture)->needs_resets, 1);
	fixture_driver_resets(fixture);
	fixture_wait(fixture, &fixture_transport(fixture)->resets_done, 1);
	fixture_driver_activates(fixture);
	fixture_wait(fixture, &fixture_transport(fixture)->needs_resets, 2);
}

/* ---- bytes ---- */

static void garbage_is_cut_off(void **state)
{
	fixture_make_active(*state);
	worker_send_raw(*state, "complete nonsense, longer than a header", 40);
	expect_cut_off(*state, "wrong magic");
}

static void a_packet_shorter_than_a_header_is_cut_off(void **state)
{
	fixture_make_active(*state);
	worker_send_raw(*state, "x", 1);
	expect_cut_off(*state, "shorter than a header");
}

static void a_request_is_cut_off(void **state)
{
	fixture_make_active(*state);
	worker_send(*state, FRAME_REQUEST, MESSAGE(SHUTDOWN), 1, 0, NULL, 0, NULL, 0);
	expect_cut_off(*state, "unknown request");
}

static void an_unknown_event_is_cut_off(void **state)
{
	fixture_make_active(*state);
	worker_send(*state, FRAME_EVENT, 99, 0, 0, NULL, 0, NULL, 0);
	expect_cut_off(*state, "unknown event");
}

static void a_reply_to_nothing_is_cut_off(void **state)
{
	fixture_make_active(*state);
	worker_send(*state, FRAME_REPLY, MESSAGE(RESET), 12345, 0, NULL, 0, NULL, 0);
	expect_cut_off(*state, "reply to nothing");
}

static void descriptors_beside_an_event_are_cut_off_and_closed(void **state)
{
	struct fixture *fixture = *state;
	Bulkhead__Worker__NeedsReset event = BULKHEAD__WORKER__NEEDS_RESET__INIT;
	uint8_t payload[16];
	int pipe_fds[2];
	char byte;

	fixture_make_active(fixture);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	worker_send(fixture, FRAME_EVENT, MESSAGE(NEEDS_RESET), 0, 0, payload,
		    protobuf_c_message_pack(&event.base, payload), &pipe_fds[1], 1);
	close(pipe_fds[1]);
	expect_cut_off(fixture, "file descriptors");
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
	close(pipe_fds[0]);
}

static void a_config_space_that_grows_is_cut_off(void **state)
{
	Bulkhead__Worker__ConfigChanged event = BULKHEAD__WORKER__CONFIG_CHANGED__INIT;
	uint8_t space[VIRTIO_PCI_MAX_CONFIG_SPACE + 1] = {0};

	fixture_make_active(*state);
	event.config_space.data = space;
	event.config_space.len = sizeof(space);
	worker_send_message(*state, FRAME_EVENT, MESSAGE(CONFIG_CHANGED), 0, &event.base);
	expect_cut_off(*state, "257 bytes");
}

static void a_flood_of_events_is_cut_off(void **state)
{
	struct fixture *fixture = *state;
	struct frame_header header;

	fixture_make_active(fixture);
	frame_header_init(&header, FRAME_EVENT, MESSAGE(CONFIG_CHANGED), 0, 0, 0, 0);
	for (unsigned i = 0; i < 100000 && !fixture->failed; i++)
		if (send(fixture->broker.worker_fd, &header, sizeof(header),
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			uv_run(&fixture->loop, UV_RUN_NOWAIT);
	expect_cut_off(fixture, "floods");
}

/* ---- answers ---- */

static void an_answer_of_another_type_is_cut_off(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct request request;

	fixture_make_active(fixture);
	assert_int_equal(
		worker_device_quiesce(fixture->device, 5000, fixture_on_done, fixture, &err), 0);
	worker_receive(fixture, MESSAGE(QUIESCE), &request);
	worker_send(fixture, FRAME_REPLY, MESSAGE(RESUME), request.header.id, 0, NULL, 0, NULL, 0);
	expect_cut_off(fixture, "with type");
	assert_int_equal(fixture->done, 1);
	assert_int_equal(fixture->done_error.code, -EPROTO);
}

static void an_answer_that_comes_twice_is_cut_off(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct request request;

	fixture_make_active(fixture);
	assert_int_equal(
		worker_device_quiesce(fixture->device, 5000, fixture_on_done, fixture, &err), 0);
	worker_receive(fixture, MESSAGE(QUIESCE), &request);
	for (int i = 0; i < 2; i++)
		worker_send(fixture, FRAME_REPLY, MESSAGE(QUIESCE), request.header.id, 0, NULL, 0,
			    NULL, 0);
	expect_cut_off(fixture, "reply to nothing");
	assert_int_equal(fixture->done, 1);
}

static void an_answer_that_never_comes_is_an_error_in_time(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct request request;

	fixture_make_active(fixture);
	assert_int_equal(worker_device_quiesce(fixture->device, 50, fixture_on_done, fixture, &err),
			 0);
	fixture_wait(fixture, &fixture->done, 1);
	assert_int_equal(fixture->done_error.code, -ETIMEDOUT);
	assert_non_null(strstr(fixture->done_error.message, "no answer to quiesce within 50 ms"));
	assert_int_equal(fixture->failed, 0);
	/* And no harm is done when it comes after all. */
	worker_receive(fixture, MESSAGE(QUIESCE), &request);
	worker_send(fixture, FRAME_REPLY, MESSAGE(QUIESCE), request.header.id, 0, NULL, 0, NULL, 0);
	fixture_run(fixture, 20);
	assert_int_equal(fixture->failed, 0);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_ACTIVE);
}

static void a_worker_that_dies_with_a_request_open_answers_it_once(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;

	fixture_make_active(fixture);
	assert_int_equal(
		worker_device_quiesce(fixture->device, 5000, fixture_on_done, fixture, &err), 0);
	worker_die(fixture);
	expect_cut_off(fixture, "closed the connection");
	assert_int_equal(fixture->done, 1);
}

static void a_descriptor_that_was_not_asked_for_fails_the_activation(void **state)
{
	struct fixture *fixture = *state;
	struct request request;

	fixture_make_ready(fixture);
	fixture_driver_activates(fixture);
	worker_receive(fixture, MESSAGE(ACTIVATE), &request);
	worker_send(fixture, FRAME_REPLY, MESSAGE(ACTIVATE), request.header.id, 0, NULL, 0,
		    request.fds, 1);
	request_free(&request);
	expect_cut_off(fixture, "not asked for");
}

/* Killed is not dead yet: what it had sent before is still read. */
static void answers_of_a_worker_that_was_given_up_do_not_revive_it(void **state)
{
	struct fixture *fixture = *state;
	struct error why = ERROR_INIT, err = ERROR_INIT;
	struct request request;

	fixture_make_active(fixture);
	assert_int_equal(worker_device_reset(fixture->device, fixture_on_done, fixture, &err), 0);
	worker_receive(fixture, MESSAGE(RESET), &request);
	error_set(&why, -EPROTO, "misuses its memory");
	worker_device_fail(fixture->device, &why);
	worker_send(fixture, FRAME_REPLY, MESSAGE(RESET), request.header.id, 0, NULL, 0, NULL, 0);
	fixture_wait(fixture, &fixture->done, 1);
	assert_int_equal(fixture->done_error.code, -ECONNRESET);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_FAILED);
	worker_die(fixture);
	fixture_run(fixture, 20);
	assert_int_equal(fixture->failed, 1);
}

static void an_activation_that_is_answered_after_all_does_not_revive_it_either(void **state)
{
	struct fixture *fixture = *state;
	struct error why = ERROR_INIT;
	struct request request;

	fixture_make_ready(fixture);
	fixture_driver_activates(fixture);
	worker_receive(fixture, MESSAGE(ACTIVATE), &request);
	error_set(&why, -EPROTO, "misuses its memory");
	worker_device_fail(fixture->device, &why);
	worker_send(fixture, FRAME_REPLY, MESSAGE(ACTIVATE), request.header.id, 0, NULL, 0, NULL,
		    0);
	request_free(&request);
	fixture_run(fixture, 50);
	assert_int_equal(worker_device_state(fixture->device), WORKER_DEVICE_FAILED);
}

/* ---- state ---- */

static void save(struct fixture *fixture, struct request *request)
{
	struct error err = ERROR_INIT;

	fixture_make_active(fixture);
	assert_int_equal(worker_device_save(fixture->device, 2000, fixture_on_state, fixture, &err),
			 0);
	worker_receive(fixture, MESSAGE(SAVE_STATE), request);
}

static void answer_save(struct fixture *fixture, const struct request *request, int fd)
{
	worker_send(fixture, FRAME_REPLY, MESSAGE(SAVE_STATE), request->header.id, 0, NULL, 0, &fd,
		    1);
	close(fd);
	fixture_wait(fixture, &fixture->done, 1);
}

static void state_in_a_sealed_memory_file_is_taken(void **state)
{
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct request request;

	save(fixture, &request);
	answer_save(fixture, &request, state_file_create("a state", 7, &err));
	assert_int_equal(fixture->done_error.code, 0);
	assert_int_equal(fixture->state_bytes, 7);
	assert_memory_equal(fixture->state, "a state", 7);
}

static void state_in_a_file_that_can_change_is_refused(void **state)
{
	struct fixture *fixture = *state;
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct request request;

	save(fixture, &request);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0);
	answer_save(fixture, &request, fd);
	assert_int_equal(fixture->done_error.code, -EINVAL);
	assert_non_null(strstr(fixture->done_error.message, "device \"root\""));
}

static void state_of_absurd_size_is_refused(void **state)
{
	struct fixture *fixture = *state;
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct request request;

	save(fixture, &request);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	answer_save(fixture, &request, fd);
	assert_int_equal(fixture->done_error.code, -EINVAL);
}

static void state_in_a_pipe_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct request request;
	int fds[2];

	save(fixture, &request);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	answer_save(fixture, &request, fds[0]);
	close(fds[1]);
	assert_int_equal(fixture->done_error.code, -EINVAL);
}

/* ---- counters ---- */

static void counters_are_cut_to_what_fits(void **state)
{
	Bulkhead__Worker__Stats stats = BULKHEAD__WORKER__STATS__INIT;
	Bulkhead__Worker__Counter counters[40], *pointers[40];
	struct fixture *fixture = *state;
	struct error err = ERROR_INIT;
	struct request request;
	char name[200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < 40; i++) {
		bulkhead__worker__counter__init(&counters[i]);
		counters[i].name = name;
		counters[i].value = UINT64_MAX;
		pointers[i] = &counters[i];
	}
	stats.counters = pointers;
	stats.n_counters = 40;
	fixture_make_active(fixture);
	assert_int_equal(
		worker_device_counters(fixture->device, fixture_on_counters, fixture, &err), 0);
	worker_receive(fixture, MESSAGE(STATS), &request);
	worker_send_message(fixture, FRAME_REPLY, MESSAGE(STATS), request.header.id, &stats.base);
	fixture_wait(fixture, &fixture->done, 1);
	assert_int_equal(fixture->counter_count, 32);
	assert_int_equal(strlen(fixture->counters[31].name), 31);
	assert_true(fixture->counters[31].value == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(garbage_is_cut_off),
		TEST(a_packet_shorter_than_a_header_is_cut_off),
		TEST(a_request_is_cut_off),
		TEST(an_unknown_event_is_cut_off),
		TEST(a_reply_to_nothing_is_cut_off),
		TEST(descriptors_beside_an_event_are_cut_off_and_closed),
		TEST(a_config_space_that_grows_is_cut_off),
		TEST(a_flood_of_events_is_cut_off),
		TEST(an_answer_of_another_type_is_cut_off),
		TEST(an_answer_that_comes_twice_is_cut_off),
		TEST(an_answer_that_never_comes_is_an_error_in_time),
		TEST(a_worker_that_dies_with_a_request_open_answers_it_once),
		TEST(a_descriptor_that_was_not_asked_for_fails_the_activation),
		TEST(answers_of_a_worker_that_was_given_up_do_not_revive_it),
		TEST(an_activation_that_is_answered_after_all_does_not_revive_it_either),
		TEST(state_in_a_sealed_memory_file_is_taken),
		TEST(state_in_a_file_that_can_change_is_refused),
		TEST(state_of_absurd_size_is_refused),
		TEST(state_in_a_pipe_is_refused),
		TEST(counters_are_cut_to_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
