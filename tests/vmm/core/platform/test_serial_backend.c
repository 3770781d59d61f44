/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/serial_backend.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "tests/vmm/core/platform/platform_fixture.h"

#define DATA	       0
#define FIFO	       2
#define LSR	       5
#define DEADLINE_TURNS 400
#define TURN_MS	       5

struct backend_case {
	uv_loop_t loop;
	struct fixture_irq irq;
	struct serial *serial;
	struct serial_backend *backend;
};

static int setup(void **state)
{
	struct backend_case *test = calloc(1, sizeof(*test));
	struct irq_line line = {.set = fixture_irq_set, .opaque = &test->irq};

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(uv_loop_init(&test->loop), 0);
	test->serial = serial_new(&line);
	fixture_write(&serial_ops, test->serial, FIFO, 1, 1);
	*state = test;
	return 0;
}

/* The loop closing without complaint shows that no handle was left open. */
static int teardown(void **state)
{
	struct backend_case *test = *state;

	serial_backend_destroy(test->backend);
	(void)uv_run(&test->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&test->loop), 0);
	serial_destroy(test->serial);
	free(test);
	return 0;
}

static void attach(struct backend_case *test, enum serial_backend_kind kind, int input_fd,
		   int output_fd)
{
	struct serial_backend_options options = {kind, input_fd, output_fd};

	test->backend = serial_backend_new(&test->loop, test->serial, &options, NULL);
	assert_non_null(test->backend);
}

static void turn(struct backend_case *test)
{
	(void)uv_run(&test->loop, UV_RUN_NOWAIT);
	(void)poll(NULL, 0, TURN_MS);
	(void)uv_run(&test->loop, UV_RUN_NOWAIT);
}

static void guest_print(struct backend_case *test, const char *text)
{
	while (*text)
		fixture_write(&serial_ops, test->serial, DATA, 1, (uint8_t)*text++);
}

/* Turn the loop until the guest has received this text. */
static void expect_input(struct backend_case *test, const char *text)
{
	for (unsigned i = 0; *text && i < DEADLINE_TURNS; i++) {
		turn(test);
		while (*text && fixture_read(&serial_ops, test->serial, LSR, 1) & 1)
			assert_int_equal((uint8_t)fixture_read(&serial_ops, test->serial, DATA, 1),
					 (uint8_t)*text++);
	}
	assert_int_equal(*text, 0);
}

/* Turn the loop until fd has given this text. */
static void expect_output(struct backend_case *test, int fd, const char *text)
{
	for (unsigned i = 0; *text && i < DEADLINE_TURNS; i++) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		char byte;

		turn(test);
		while (*text && poll(&ready, 1, 0) == 1 && read(fd, &byte, 1) == 1)
			assert_int_equal(byte, *text++);
	}
	assert_int_equal(*text, 0);
}

static void a_pair_of_pipes_carries_bytes_both_ways(void **state)
{
	struct backend_case *test = *state;
	int in[2], out[2];

	assert_int_equal(pipe(in) | pipe(out), 0);
	attach(test, SERIAL_BACKEND_STREAM, in[0], out[1]);
	guest_print(test, "login: ");
	expect_output(test, out[0], "login: ");
	assert_int_equal(write(in[1], "root\n", 5), 5);
	expect_input(test, "root\n");
	assert_false(fcntl(out[1], F_GETFL) & O_NONBLOCK);
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}

static void the_end_of_input_leaves_output_working(void **state)
{
	struct backend_case *test = *state;
	int out[2], null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pipe(out), 0);
	attach(test, SERIAL_BACKEND_STREAM, null_fd, out[1]);
	turn(test);
	guest_print(test, "still here");
	expect_output(test, out[0], "still here");
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(null_fd);
	close(out[0]);
	close(out[1]);
}

static void a_file_gets_all_output(void **state)
{
	struct backend_case *test = *state;
	int fd = memfd_create("serial", MFD_CLOEXEC);
	char text[16] = "";

	attach(test, SERIAL_BACKEND_STREAM, -1, fd);
	guest_print(test, "to a file");
	turn(test);
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 9);
	assert_string_equal(text, "to a file");
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(fd);
}

static void output_that_waits_is_written_on_destruction(void **state)
{
	struct backend_case *test = *state;
	int fd = memfd_create("serial", MFD_CLOEXEC);

	attach(test, SERIAL_BACKEND_STREAM, -1, fd);
	for (unsigned i = 0; i < 1000; i++)
		guest_print(test, "0123456789");
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	assert_int_equal(lseek(fd, 0, SEEK_END), 10000);
	close(fd);
}

static void a_reader_that_stops_does_not_stop_the_loop_and_gets_everything_later(void **state)
{
	struct backend_case *test = *state;
	size_t written = 0, seen = 0;
	char bytes[4096];
	int out[2];

	assert_int_equal(pipe(out), 0);
	attach(test, SERIAL_BACKEND_STREAM, -1, out[1]);
	for (unsigned i = 0; i < 100; i++) {
		while (fixture_read(&serial_ops, test->serial, LSR, 1) & 0x20) {
			fixture_write(&serial_ops, test->serial, DATA, 1,
				      (uint8_t)('a' + written % 23));
			written++;
		}
		(void)uv_run(&test->loop, UV_RUN_NOWAIT); /* returns, though the pipe is full */
	}
	assert_true(written > 65536);
	for (unsigned i = 0; seen < written && i < DEADLINE_TURNS; i++) {
		ssize_t got = read(out[0], bytes, sizeof(bytes));

		for (ssize_t j = 0; j < got; j++)
			assert_int_equal(bytes[j], 'a' + seen++ % 23);
		turn(test);
	}
	assert_int_equal(seen, written);
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(out[0]);
	close(out[1]);
}

static void a_closed_pipe_is_survived(void **state)
{
	struct backend_case *test = *state;
	int out[2];

	assert_int_equal(pipe(out), 0);
	attach(test, SERIAL_BACKEND_STREAM, -1, out[1]);
	close(out[0]);
	guest_print(test, "nobody listens");
	turn(test);
	guest_print(test, "nobody listens");
	turn(test);
	assert_int_equal(fixture_read(&serial_ops, test->serial, LSR, 1) & 0x60, 0x60);
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(out[1]);
}

static int listen_at(struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t bytes = sizeof(*address);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* Autobind: an abstract name, no file. */
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &bytes), 0);
	return fd;
}

static int connect_to(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Autobound names are 5 bytes behind a zero byte. */
	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(sa_family_t) + 6), 0);
	return fd;
}

static void socket_clients_come_and_go_one_at_a_time(void **state)
{
	struct backend_case *test = *state;
	struct sockaddr_un address;
	int listener = listen_at(&address), first, second;

	attach(test, SERIAL_BACKEND_SOCKET, listener, -1);
	guest_print(test, "lost");
	turn(test);
	first = connect_to(&address);
	second = connect_to(&address);
	turn(test);
	guest_print(test, "one");
	expect_output(test, first, "one");
	assert_int_equal(write(first, "uno", 3), 3);
	expect_input(test, "uno");
	close(first);
	turn(test);
	turn(test);
	guest_print(test, "two");
	expect_output(test, second, "two");
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(second);
	close(listener);
}

static void input_of_a_client_that_left_is_read_to_its_end(void **state)
{
	struct backend_case *test = *state;
	char text[SERIAL_RECEIVE_BYTES * 3 + 1] = "";
	struct sockaddr_un address;
	int listener = listen_at(&address), client;

	attach(test, SERIAL_BACKEND_SOCKET, listener, -1);
	client = connect_to(&address);
	memset(text, 'q', sizeof(text) - 1);
	assert_int_equal(write(client, text, sizeof(text) - 1), sizeof(text) - 1);
	close(client);
	expect_input(test, text);
	client = connect_to(&address);
	turn(test);
	guest_print(test, "next");
	expect_output(test, client, "next");
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(client);
	close(listener);
}

static void a_client_that_sends_no_more_still_gets_output(void **state)
{
	struct backend_case *test = *state;
	struct sockaddr_un address;
	int listener = listen_at(&address), client;

	attach(test, SERIAL_BACKEND_SOCKET, listener, -1);
	client = connect_to(&address);
	assert_int_equal(write(client, "q", 1), 1);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect_input(test, "q");
	turn(test);
	guest_print(test, "answer");
	expect_output(test, client, "answer");
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(client);
	close(listener);
}

static void a_pty_can_be_opened_closed_and_opened_again(void **state)
{
	struct backend_case *test = *state;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char path[64];

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
		print_message("skip: no pseudo terminals here\n");
		skip();
	}
	assert_int_equal(ptsname_r(master, path, sizeof(path)), 0);
	attach(test, SERIAL_BACKEND_PTY, master, -1);
	for (unsigned i = 0; i < 2; i++) {
		int slave;

		guest_print(test, "lost");
		turn(test);
		slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_true(slave >= 0);
		for (unsigned j = 0; j < 60; j++) /* until the timer has looked */
			turn(test);
		guest_print(test, "hello\n");
		expect_output(test, slave, "hello\n");
		assert_int_equal(write(slave, "yes\r", 4), 4);
		expect_input(test, "yes\r");
		close(slave);
		turn(test);
		turn(test);
	}
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	close(master);
}

static void a_terminal_is_raw_while_it_is_used(void **state)
{
	struct backend_case *test = *state;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	struct termios before, during, after;
	char path[64];

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
		print_message("skip: no pseudo terminals here\n");
		skip();
	}
	assert_int_equal(ptsname_r(master, path, sizeof(path)), 0);
	slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_true(before.c_lflag & ICANON);
	attach(test, SERIAL_BACKEND_STREAM, slave, slave);
	assert_int_equal(tcgetattr(slave, &during), 0);
	assert_false(during.c_lflag & (ICANON | ECHO | ISIG));
	assert_int_equal(write(master, "\003", 1), 1);
	expect_input(test, "\003");
	serial_backend_destroy(test->backend);
	test->backend = NULL;
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag);
	close(slave);
	close(master);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pair_of_pipes_carries_bytes_both_ways),
		TEST(the_end_of_input_leaves_output_working),
		TEST(a_file_gets_all_output),
		TEST(output_that_waits_is_written_on_destruction),
		TEST(a_reader_that_stops_does_not_stop_the_loop_and_gets_everything_later),
		TEST(a_closed_pipe_is_survived),
		TEST(socket_clients_come_and_go_one_at_a_time),
		TEST(input_of_a_client_that_left_is_read_to_its_end),
		TEST(a_client_that_sends_no_more_still_gets_output),
		TEST(a_pty_can_be_opened_closed_and_opened_again),
		TEST(a_terminal_is_raw_while_it_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
