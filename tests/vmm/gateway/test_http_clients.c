/* SPDX-License-Identifier: Apache-2.0 */
/* Several clients, clients that wait, leave, do not read; descriptors; a gateway that dies. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/vmm/gateway/http_fixture.h"

static void other_clients_are_served_while_one_waits(void **state)
{
	int fd = http(*state);

	assert_int_equal(request(*state, "PUT", "vm.create", CONFIG), 204);
	assert_int_equal(request(*state, "PUT", "vm.boot", NULL), 204);
	fake_core_hold(*state, MESSAGE(PAUSE));
	assert_true(client_send(fd, "PUT /api/v1/vm.pause HTTP/1.1\r\n\r\n"));
	while (!fake_core_held(*state))
		usleep(1000);
	assert_int_equal(request(*state, "GET", "vmm.ping", NULL), 200);
	assert_int_equal(request(*state, "GET", "vm.info", NULL), 200);
	assert_int_equal(request(*state, "GET", "vm.counters", NULL), 200);
	assert_int_equal(fake_core_held(*state), 1); /* that one waits all the while */
	fake_core_release(*state);
	assert_int_equal(client_response(fd, response, sizeof(response)), 204);
	close(fd);
}

static void sixty_four_clients_are_served_at_once(void **state)
{
	int fds[64];

	for (int i = 0; i < 64; i++)
		fds[i] = http(*state);
	fake_core_hold(*state, MESSAGE(PING));
	for (int i = 0; i < 64; i++)
		assert_true(client_send(fds[i], PING));
	while (fake_core_held(*state) < 64)
		usleep(1000);
	fake_core_release(*state);
	for (int i = 0; i < 64; i++) {
		assert_int_equal(client_response(fds[i], response, sizeof(response)), 200);
		close(fds[i]);
	}
}

static void one_client_too_many_is_told_so(void **state)
{
	int fds[65];

	for (int i = 0; i < 65; i++)
		fds[i] = http(*state);
	assert_int_equal(client_response(fds[64], response, sizeof(response)), 503);
	assert_string_equal(client_body(response), "[\"too many connections\"]");
	for (int i = 0; i < 65; i++)
		close(fds[i]);
}

static void an_idle_client_makes_room_for_a_new_one(void **state)
{
	int fds[65];

	for (int i = 0; i < 64; i++) {
		fds[i] = http(*state);
		assert_int_equal(client_exchange(fds[i], PING, response, sizeof(response)), 200);
	}
	fds[64] = http(*state);
	assert_int_equal(client_exchange(fds[64], PING, response, sizeof(response)), 200);
	assert_true(client_is_closed(fds[0], 1000));
	for (int i = 0; i < 65; i++)
		close(fds[i]);
}

static void a_client_that_goes_does_not_disturb_its_command(void **state)
{
	int fd = http(*state);

	fake_core_hold(*state, MESSAGE(PING));
	assert_true(client_send(fd, PING));
	while (!fake_core_held(*state))
		usleep(1000);
	close(fd);
	fake_core_release(*state);
	assert_int_equal(request(*state, "GET", "vmm.ping", NULL), 200);
}

static void a_half_closed_client_still_gets_its_answer(void **state)
{
	int fd = http(*state);

	assert_true(client_send(fd, PING PING));
	shutdown(fd, SHUT_WR);
	assert_int_equal(client_response(fd, response, sizeof(response)), 200);
	assert_int_equal(client_response(fd, response, sizeof(response)), 200);
	assert_true(client_is_closed(fd, 1000));
	close(fd);
}

static void a_client_that_is_turned_away_reads_nothing(void **state)
{
	int fd;

	fake_core_turn_away(*state, true);
	fd = http(*state);
	(void)client_send(fd, PING);
	assert_true(client_is_closed(fd, 2000));
	assert_int_equal(fake_core_count(*state, MESSAGE(PING)), 0);
	close(fd);
}

static void a_client_that_does_not_read_is_not_served_further(void **state)
{
	int fd = http(*state);
	int small = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 2000; i++) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

		if (poll(&poll_fd, 1, 200) <= 0)
			break;
		if (send(fd, PING, strlen(PING), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	}
	usleep(200000);
	assert_true(fake_core_count(*state, MESSAGE(PING)) < 2000);
	assert_int_equal(request(*state, "GET", "vmm.ping", NULL), 200);
	close(fd);
}

static void file_descriptors_that_nobody_takes_are_refused(void **state)
{
	int fd = http(*state);

	assert_true(client_send_fds(fd, PING, STDERR_FILENO, 2));
	assert_int_equal(client_response(fd, response, sizeof(response)), 400);
	assert_non_null(strstr(response, "takes at most 0 file descriptors"));
	assert_int_equal(client_exchange(fd, PING, response, sizeof(response)), 200);
	assert_true(client_send_fds(fd, PING, STDERR_FILENO, 20));
	assert_int_equal(client_response(fd, response, sizeof(response)), 400);
	close(fd);
}

static void descriptors_behind_a_pipelined_request_belong_to_the_later_one(void **state)
{
	int fd = http(*state);

	fake_core_hold(*state, MESSAGE(PING));
	assert_true(client_send(fd, PING));
	while (!fake_core_held(*state))
		usleep(1000);
	assert_true(client_send(fd, "GET /api/v1/vmm.processes HTTP/1.1\r\n\r\n"));
	assert_true(client_send_fds(fd, PING, STDERR_FILENO, 1));
	fake_core_release(*state);
	assert_int_equal(client_response(fd, response, sizeof(response)), 200);
	assert_int_equal(client_response(fd, response, sizeof(response)), 200);
	assert_int_equal(client_response(fd, response, sizeof(response)), 400);
	close(fd);
}

static void a_killed_gateway_is_followed_by_one_that_serves_the_same_sockets(void **state)
{
	int fd = http(*state);

	fake_core_hold(*state, MESSAGE(PING));
	assert_true(client_send(fd, PING));
	while (!fake_core_held(*state))
		usleep(1000);
	fake_core_restart_gateway(*state);
	assert_true(client_is_closed(fd, 1000));
	close(fd);
	fake_core_hold(*state, 0);
	assert_int_equal(request(*state, "GET", "vmm.ping", NULL), 200);
}

static void metrics_are_prometheus_text_and_nothing_else_is_served_there(void **state)
{
	int fd;

	assert_int_equal(request(*state, "PUT", "vm.create", CONFIG), 204);
	fd = client_connect(fake_core_path(*state, FAKE_METRICS));
	assert_int_equal(
		client_exchange(fd, "GET /metrics HTTP/1.1\r\n\r\n", response, sizeof(response)),
		200);
	assert_non_null(strstr(response, "Content-Type: text/plain; version=0.0.4"));
	assert_string_equal(client_body(response),
			    "# TYPE bulkhead_up gauge\nbulkhead_up 1\n"
			    "# TYPE bulkhead_blk_read_bytes counter\n"
			    "bulkhead_blk_read_bytes{device=\"disk0\"} 4096\n"
			    "bulkhead_blk_read_bytes{device=\"disk1\"} 4096\n"
			    "# TYPE bulkhead_blk_read_ops counter\n"
			    "bulkhead_blk_read_ops{device=\"disk0\"} 7\n"
			    "bulkhead_blk_read_ops{device=\"disk1\"} 7\n");
	assert_int_equal(client_exchange(fd, "PUT /api/v1/vmm.shutdown HTTP/1.1\r\n\r\n", response,
					 sizeof(response)),
			 404);
	assert_int_equal(
		client_exchange(fd, "PUT /metrics HTTP/1.1\r\n\r\n", response, sizeof(response)),
		405);
	close(fd);
}

static void events_are_followed_as_lines_of_json(void **state)
{
	int fd = http(*state);
	char line[1024];

	assert_true(client_send(fd, "GET /api/v1/vmm.events HTTP/1.1\r\n\r\n"));
	do {
		assert_int_equal(client_line(fd, line, sizeof(line), 2000), 1);
	} while (line[0]);
	fake_core_event(*state, BULKHEAD__CONTROL__EVENT_KIND__EVENT_STOP, "vm", "paused");
	assert_int_equal(client_line(fd, line, sizeof(line), 2000), 1); /* the chunk's size */
	assert_int_equal(client_line(fd, line, sizeof(line), 2000), 1);
	assert_string_equal(line, "{\"timestamp\":{\"secs\":1700000000,\"nanos\":5000},"
				  "\"source\":\"vm\",\"event\":\"paused\",\"properties\":"
				  "{\"guest\":\"true\",\"reason\":\"guest-shutdown\"}}");
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_core_set_up, fake_core_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(other_clients_are_served_while_one_waits),
		TEST(sixty_four_clients_are_served_at_once),
		TEST(one_client_too_many_is_told_so),
		TEST(an_idle_client_makes_room_for_a_new_one),
		TEST(a_client_that_goes_does_not_disturb_its_command),
		TEST(a_half_closed_client_still_gets_its_answer),
		TEST(a_client_that_is_turned_away_reads_nothing),
		TEST(a_client_that_does_not_read_is_not_served_further),
		TEST(file_descriptors_that_nobody_takes_are_refused),
		TEST(descriptors_behind_a_pipelined_request_belong_to_the_later_one),
		TEST(a_killed_gateway_is_followed_by_one_that_serves_the_same_sockets),
		TEST(metrics_are_prometheus_text_and_nothing_else_is_served_there),
		TEST(events_are_followed_as_lines_of_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
