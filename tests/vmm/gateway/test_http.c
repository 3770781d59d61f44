/* SPDX-License-Identifier: Apache-2.0 */
/* The wire: HTTP as clients send it, against the real gateway in its sandbox. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/vmm/gateway/http_fixture.h"

static void a_ping_is_answered_with_version_and_pid(void **state)
{
	assert_int_equal(request(*state, "GET", "vmm.ping", NULL), 200);
	assert_non_null(strstr(response, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(response, "Content-Length: "));
	assert_non_null(strstr(response, "\"version\":\"v9.9.9\""));
}

static void a_command_without_result_is_answered_204_without_content_length(void **state)
{
	assert_int_equal(request(*state, "PUT", "vm.create", CONFIG), 204);
	assert_null(strstr(response, "Content-Length"));
}

static void a_connection_is_kept_for_many_requests(void **state)
{
	int fd = http(*state);

	for (int i = 0; i < 50; i++)
		assert_int_equal(client_exchange(fd, PING, response, sizeof(response)), 200);
	close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	int fd = http(*state);

	assert_true(client_send(fd, PING "GET /api/v1/vm.info HTTP/1.1\r\n\r\n"
					 "GET /nothing HTTP/1.1\r\n\r\n" PING));
	assert_int_equal(client_response(fd, response, sizeof(response)), 200);
	assert_int_equal(client_response(fd, response, sizeof(response)), 404);
	assert_non_null(strstr(response, "no VM is created"));
	assert_int_equal(client_response(fd, response, sizeof(response)), 404);
	assert_non_null(strstr(response, "no such path"));
	assert_int_equal(client_response(fd, response, sizeof(response)), 200);
	close(fd);
}

static void a_request_may_come_one_byte_at_a_time(void **state)
{
	static const char text[] =
		"PUT /api/v1/vm.create HTTP/1.1\r\nContent-Length: 27\r\n\r\n" CONFIG;
	int fd = http(*state);

	for (const char *at = text; *at; at++)
		assert_true(client_send_bytes(fd, at, 1));
	assert_int_equal(client_response(fd, response, sizeof(response)), 204);
	close(fd);
}

static void a_chunked_body_is_put_together(void **state)
{
	int fd = http(*state);

	assert_int_equal(
		client_exchange(fd,
				"PUT /api/v1/vm.create HTTP/1.1\r\nTransfer-Encoding: "
				"chunked\r\n\r\n"
				"5\r\n{\"pay\r\n16;x=y\r\nload\":{\"kernel\":\"/k\"}}\r\n0\r\n\r\n",
				response, sizeof(response)),
		204);
	close(fd);
}

static void expect_100_continue_is_answered_before_the_body(void **state)
{
	int fd = http(*state);

	assert_int_equal(client_exchange(fd,
					 "PUT /api/v1/vm.create HTTP/1.1\r\nContent-Length: 27\r\n"
					 "Expect: 100-continue\r\n\r\n",
					 response, sizeof(response)),
			 100);
	assert_int_equal(client_exchange(fd, CONFIG, response, sizeof(response)), 204);
	close(fd);
}

static void a_body_that_would_be_too_long_is_refused_instead_of_continued(void **state)
{
	int fd = http(*state);

	assert_int_equal(
		client_exchange(fd,
				"PUT /api/v1/vm.create HTTP/1.1\r\nContent-Length: 51201\r\n"
				"Expect: 100-continue\r\n\r\n",
				response, sizeof(response)),
		413);
	assert_true(client_is_closed(fd, 3000));
	close(fd);
}

static void another_expectation_is_refused(void **state)
{
	int fd = http(*state);

	assert_int_equal(client_exchange(fd,
					 "PUT /api/v1/vm.create HTTP/1.1\r\nContent-Length: 2\r\n"
					 "Expect: miracles\r\n\r\n",
					 response, sizeof(response)),
			 417);
	close(fd);
}

static void limits_have_their_status(void **state)
{
	static char large[70000];
	struct {
		const char *before;
		size_t filler;
		const char *after;
		int status;
	} cases[] = {
		{"GET /", 2000, " HTTP/1.1\r\n\r\n", 414},
		{"GET /api/v1/vmm.ping HTTP/1.1\r\nX: ", 17000, "\r\n\r\n", 431},
		{"PUT /api/v1/vm.create HTTP/1.1\r\nContent-Length: 60000\r\n\r\n", 100, "", 413},
		{"PUT /api/v1/vm.create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nea60\r\n",
		 60000, "", 413},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int fd = http(*state);

		memset(large, 'a', sizeof(large));
		assert_true(client_send(fd, cases[i].before));
		(void)client_send_bytes(fd, large, cases[i].filler);
		(void)client_send(fd, cases[i].after);
		assert_int_equal(client_response(fd, response, sizeof(response)), cases[i].status);
		assert_int_equal(client_body(response)[0], '[');
		assert_true(client_is_closed(fd, 3000));
		close(fd);
	}
}

static void what_is_not_http_is_refused_and_closed(void **state)
{
	static const char *const texts[] = {
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello \r\n\r\n",
		"GET\r\n\r\n",
		"GET /api/v1/vmm.ping HTTP/1.1\r\nBad Header: x\r\n\r\n",
		"PUT /api/v1/vm.boot HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"PUT /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"PUT /api/v1/vm.boot HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"PUT /api/v1/vm.boot HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int fd = http(*state);

		assert_int_equal(client_exchange(fd, texts[i], response, sizeof(response)), 400);
		assert_true(client_is_closed(fd, 3000));
		close(fd);
	}
}

static void another_version_of_http_is_refused(void **state)
{
	int fd = http(*state);

	assert_int_equal(
		client_exchange(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", response, sizeof(response)),
		505);
	close(fd);
}

static void http_1_0_gets_an_answer_and_the_end(void **state)
{
	int fd = http(*state);

	assert_int_equal(client_exchange(fd, "GET /api/v1/vmm.ping HTTP/1.0\r\n\r\n", response,
					 sizeof(response)),
			 200);
	assert_true(client_is_closed(fd, 1000));
	close(fd);
}

static void the_wrong_method_names_the_right_one(void **state)
{
	assert_int_equal(request(*state, "GET", "vm.boot", NULL), 405);
	assert_non_null(strstr(response, "Allow: PUT\r\n"));
	assert_int_equal(request(*state, "PUT", "vm.info", NULL), 405);
	assert_non_null(strstr(response, "Allow: GET\r\n"));
}

static void a_path_that_comes_later_says_so(void **state)
{
	assert_int_equal(request(*state, "PUT", "vm.add-fs", "{}"), 501);
	assert_string_equal(client_body(response),
			    "[\"vm.add-fs: not supported by this version\"]");
}

static void an_absolute_target_is_understood(void **state)
{
	int fd = http(*state);

	assert_int_equal(client_exchange(fd,
					 "GET http://localhost/api/v1/vmm.ping HTTP/1.1\r\n\r\n",
					 response, sizeof(response)),
			 200);
	close(fd);
}

static void errors_of_the_core_get_their_status(void **state)
{
	static const struct {
		int code, status;
	} cases[] = {
		{-EINVAL, 400}, {-ENODEV, 404}, {-ENOENT, 404}, {-EBADFD, 405},
		{-EEXIST, 409}, {-EBUSY, 429},	{-EIO, 500},	{-EOPNOTSUPP, 501},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fake_core_refuse(*state, MESSAGE(PAUSE), cases[i].code, "no, \"never\"");
		assert_int_equal(request(*state, "PUT", "vm.pause", NULL), cases[i].status);
		assert_string_equal(client_body(response), "[\"no, \\\"never\\\"\"]");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_core_set_up, fake_core_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_ping_is_answered_with_version_and_pid),
		TEST(a_command_without_result_is_answered_204_without_content_length),
		TEST(a_connection_is_kept_for_many_requests),
		TEST(pipelined_requests_are_answered_in_order),
		TEST(a_request_may_come_one_byte_at_a_time),
		TEST(a_chunked_body_is_put_together),
		TEST(expect_100_continue_is_answered_before_the_body),
		TEST(a_body_that_would_be_too_long_is_refused_instead_of_continued),
		TEST(another_expectation_is_refused),
		TEST(limits_have_their_status),
		TEST(what_is_not_http_is_refused_and_closed),
		TEST(another_version_of_http_is_refused),
		TEST(http_1_0_gets_an_answer_and_the_end),
		TEST(the_wrong_method_names_the_right_one),
		TEST(a_path_that_comes_later_says_so),
		TEST(an_absolute_target_is_understood),
		TEST(errors_of_the_core_get_their_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
