/* SPDX-License-Identifier: Apache-2.0 */
/* Where the console's output goes: nowhere, a file, a pseudo terminal, a socket. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

#include "ipc/cleanup.h"
#include "tests/devworkers/console/console_guest.h"
#include "tests/support/scratch_folder.h"

#define MODE(name) BULKHEAD__CONSOLE__MODE__MODE_##name

#define PTY_CAPACITY_BYTES 65536U /* at most, in the kernel */

static void output_to_nowhere_is_taken(void **state)
{
	struct console_guest *guest = *state;
	bool waiting;

	console_guest_run(guest, MODE(NULL), NULL, 0);
	assert_int_equal(console_guest_flood(guest, 1U << 20, &waiting), 1U << 20);
	assert_false(waiting);
}

static off_t file_size(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_size;
}

static void output_to_a_file_is_written_behind_what_is_there(void **state)
{
	struct console_guest *guest = *state;
	cleanup_fd int file = memfd_create("log", MFD_CLOEXEC);
	char content[32] = "";

	assert_int_equal(write(file, "old ", 4), 4);
	console_guest_run(guest, MODE(FILE), &file, 1);
	console_guest_print(guest, "new");
	/* The guest has its buffer back as soon as it is copied. */
	for (unsigned waited = 0; file_size(file) < 7 && waited < WAIT_MS; waited++)
		(void)poll(NULL, 0, 1);
	assert_int_equal(pread(file, content, sizeof(content), 0), 7);
	assert_string_equal(content, "old new");
}

static void a_file_that_takes_no_more_does_not_stop_the_guest(void **state)
{
	struct console_guest *guest = *state;
	cleanup_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	bool waiting;

	console_guest_run(guest, MODE(FILE), &full, 1);
	assert_int_equal(console_guest_flood(guest, 1U << 18, &waiting), 1U << 18);
	assert_false(waiting);
}

/* ---- pseudo terminal ---- */

static int pty_open(char *slave_path, size_t capacity)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, slave_path, capacity), 0);
	/* Without it the terminal echoes the guest's output back as input. */
	assert_int_equal(tcgetattr(master, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(master, TCSANOW, &raw), 0);
	return master;
}

static int slave_open(const char *path)
{
	int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(slave >= 0);
	return slave;
}

static void a_pseudo_terminal_works_both_ways(void **state)
{
	struct console_guest *guest = *state;
	char path[64];
	cleanup_fd int master = pty_open(path, sizeof(path));
	cleanup_fd int slave = slave_open(path);

	console_guest_run(guest, MODE(PTY), &master, 1);
	console_guest_print(guest, "login: ");
	assert_reads(slave, "login: ");
	console_guest_offer_input(guest, 100);
	assert_int_equal(write(slave, "root\n", 5), 5);
	assert_input_is(guest, "root\n");
}

static void a_pseudo_terminal_that_nobody_opened_does_not_stop_the_guest(void **state)
{
	struct console_guest *guest = *state;
	char path[64];
	cleanup_fd int master = pty_open(path, sizeof(path));
	bool waiting;

	console_guest_run(guest, MODE(PTY), &master, 1);
	assert_int_equal(console_guest_flood(guest, 1U << 20, &waiting), 1U << 20);
	assert_false(waiting);
}

/* Read until `text` has come, behind at most `most` other bytes. */
static void assert_reads_behind(int fd, const char *text, size_t most)
{
	size_t wanted = strlen(text), matched = 0, others = 0;

	while (matched < wanted) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		char byte;

		assert_int_equal(poll(&poll_fd, 1, (int)WAIT_MS), 1);
		assert_int_equal(read(fd, &byte, 1), 1);
		others++;
		matched = byte == text[matched] ? matched + 1 : byte == text[0];
		assert_true(others <= most + wanted);
	}
}

static void a_pseudo_terminal_can_be_closed_and_opened_again(void **state)
{
	struct console_guest *guest = *state;
	char path[64];
	cleanup_fd int master = pty_open(path, sizeof(path));
	int slave = slave_open(path);
	bool waiting;

	console_guest_run(guest, MODE(PTY), &master, 1);
	console_guest_print(guest, "first");
	assert_reads(slave, "first");
	fd_close(&slave);
	/* What is printed in the moment of the hang-up may wait for the next reader; the rest is
	 * dropped. */
	assert_int_equal(console_guest_flood(guest, 1U << 18, &waiting), 1U << 18);
	assert_false(waiting);
	slave = slave_open(path);
	console_guest_offer_input(guest, 100);
	assert_int_equal(write(slave, "x", 1), 1); /* seen at the next look for a peer */
	assert_input_is(guest, "x");
	console_guest_print(guest, "second");
	assert_reads_behind(slave, "second", PTY_CAPACITY_BYTES);
	fd_close(&slave);
}

/* ---- socket ---- */

struct socket_console {
	char directory[32], path[64];
	int listener;
};

static void socket_listen(struct socket_console *console)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	scratch_folder_make("console", console->directory, sizeof(console->directory));
	(void)snprintf(console->path, sizeof(console->path), "%s/socket", console->directory);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", console->path);
	console->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(console->listener, (const void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(console->listener, 4), 0);
}

static void socket_remove(struct socket_console *console)
{
	fd_close(&console->listener);
	(void)unlink(console->path);
	(void)rmdir(console->directory);
}

static int socket_connect(const struct socket_console *console)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", console->path);
	assert_int_equal(connect(fd, (const void *)&address, sizeof(address)), 0);
	return fd;
}

/* A client that has been accepted: what it sends reaches the guest. */
static int client_connect(struct console_guest *guest, const struct socket_console *console)
{
	int client = socket_connect(console);

	console_guest_offer_input(guest, 100);
	assert_int_equal(write(client, "hi", 2), 2);
	assert_input_is(guest, "hi");
	return client;
}

static void a_client_of_the_socket_reads_and_writes(void **state)
{
	struct console_guest *guest = *state;
	struct socket_console console = {.listener = -1};
	int client;

	socket_listen(&console);
	console_guest_run(guest, MODE(SOCKET), &console.listener, 1);
	client = client_connect(guest, &console);
	console_guest_print(guest, "hello");
	assert_reads(client, "hello");
	fd_close(&client);
	socket_remove(&console);
}

static void output_is_dropped_while_there_is_no_client(void **state)
{
	struct console_guest *guest = *state;
	struct socket_console console = {.listener = -1};
	bool waiting;
	int client;

	socket_listen(&console);
	console_guest_run(guest, MODE(SOCKET), &console.listener, 1);
	assert_int_equal(console_guest_flood(guest, 1U << 18, &waiting), 1U << 18);
	assert_false(waiting);
	client = client_connect(guest, &console);
	console_guest_print(guest, "now");
	assert_reads(client, "now");
	fd_close(&client);
	socket_remove(&console);
}

static void the_next_client_waits_until_the_first_is_gone(void **state)
{
	struct console_guest *guest = *state;
	struct socket_console console = {.listener = -1};
	int first, second;
	struct pollfd poll_fd = {.events = POLLIN};

	socket_listen(&console);
	console_guest_run(guest, MODE(SOCKET), &console.listener, 1);
	first = client_connect(guest, &console);
	second = socket_connect(&console);
	console_guest_print(guest, "for the first");
	assert_reads(first, "for the first");
	poll_fd.fd = second;
	assert_int_equal(poll(&poll_fd, 1, (int)NOT_WITHIN_MS), 0);
	fd_close(&first);
	console_guest_offer_input(guest, 100);
	assert_int_equal(write(second, "me", 2), 2);
	assert_input_is(guest, "me");
	console_guest_print(guest, "for the second");
	assert_reads(second, "for the second");
	fd_close(&second);
	socket_remove(&console);
}

static void a_client_that_leaves_while_the_guest_waits_lets_it_go_on(void **state)
{
	struct console_guest *guest = *state;
	struct socket_console console = {.listener = -1};
	bool waiting;
	int client;

	socket_listen(&console);
	console_guest_run(guest, MODE(SOCKET), &console.listener, 1);
	client = client_connect(guest, &console);
	(void)console_guest_flood(guest, 1U << 20, &waiting);
	assert_true(waiting);
	fd_close(&client);
	assert_true(ring_driver_complete(&guest->transmit, WAIT_MS, NULL));
	socket_remove(&console);
}

static void what_a_client_sent_before_it_left_is_delivered(void **state)
{
	struct console_guest *guest = *state;
	struct socket_console console = {.listener = -1};
	static uint8_t data[10000];
	size_t received = 0;
	int client;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 251);
	socket_listen(&console);
	console_guest_run(guest, MODE(SOCKET), &console.listener, 1);
	client = socket_connect(&console);
	assert_int_equal(write(client, data, sizeof(data)), sizeof(data));
	fd_close(&client);
	while (received < sizeof(data)) {
		uint32_t length = 0;

		console_guest_offer_input(guest, INPUT_BYTES);
		assert_true(ring_driver_complete(&guest->receive, WAIT_MS, &length));
		assert_true(received + length <= sizeof(data));
		assert_memory_equal(guest_ram_at(&guest->ram, guest->input), data + received,
				    length);
		received += length;
	}
	socket_remove(&console);
}

static void a_client_that_only_listens_keeps_the_output(void **state)
{
	struct console_guest *guest = *state;
	struct socket_console console = {.listener = -1};
	int client;

	socket_listen(&console);
	console_guest_run(guest, MODE(SOCKET), &console.listener, 1);
	client = client_connect(guest, &console);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	console_guest_print(guest, "one");
	assert_reads(client, "one");
	console_guest_print(guest, "two");
	assert_reads(client, "two");
	fd_close(&client);
	client = client_connect(guest, &console);
	fd_close(&client);
	socket_remove(&console);
}

/* ---- configuration ---- */

static void descriptors_that_do_not_fit_the_mode_are_refused(void **state)
{
	struct console_guest *guest = *state;
	Bulkhead__Console__Config config;
	struct error err = ERROR_INIT;

	bulkhead__console__config__init(&config);
	config.mode = MODE(TTY);
	assert_int_equal(worker_driver_configure(&guest->driver, &config.base,
						 &guest->transmit.kick_fd, 1, &err),
			 -EINVAL);
	assert_true(worker_driver_wait_end(&guest->driver, WAIT_MS));
	(void)worker_driver_stop(&guest->driver);
	assert_int_equal(worker_driver_start(&guest->driver, "console", &err), 0);
}

int main(void)
{
#define CONSOLE_TEST(name)                                                                         \
	cmocka_unit_test_setup_teardown(name, console_guest_start, console_guest_stop)
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(output_to_nowhere_is_taken),
		CONSOLE_TEST(output_to_a_file_is_written_behind_what_is_there),
		CONSOLE_TEST(a_file_that_takes_no_more_does_not_stop_the_guest),
		CONSOLE_TEST(a_pseudo_terminal_works_both_ways),
		CONSOLE_TEST(a_pseudo_terminal_that_nobody_opened_does_not_stop_the_guest),
		CONSOLE_TEST(a_pseudo_terminal_can_be_closed_and_opened_again),
		CONSOLE_TEST(a_client_of_the_socket_reads_and_writes),
		CONSOLE_TEST(output_is_dropped_while_there_is_no_client),
		CONSOLE_TEST(the_next_client_waits_until_the_first_is_gone),
		CONSOLE_TEST(a_client_that_leaves_while_the_guest_waits_lets_it_go_on),
		CONSOLE_TEST(what_a_client_sent_before_it_left_is_delivered),
		CONSOLE_TEST(a_client_that_only_listens_keeps_the_output),
		CONSOLE_TEST(descriptors_that_do_not_fit_the_mode_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
