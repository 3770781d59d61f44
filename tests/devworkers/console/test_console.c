/* SPDX-License-Identifier: Apache-2.0 */
/* The console worker: queues, back-pressure, size, state. Its other end is a pair of pipes. */
#include <fcntl.h>
#include <endian.h>
#include <sys/mman.h>

#include <linux/virtio_console.h>

#include "ipc/cleanup.h"
#include "tests/devworkers/console/console_guest.h"

#define TTY BULKHEAD__CONSOLE__MODE__MODE_TTY

/* The terminal: what the worker reads and writes, and our ends of it. */
struct terminal {
	int worker_fds[2]; /* input, output */
	int keyboard, screen;
};

static struct terminal terminal_open(void)
{
	struct terminal terminal;
	int input[2], output[2];

	assert_int_equal(pipe2(input, O_CLOEXEC), 0);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	terminal.worker_fds[0] = input[0];
	terminal.keyboard = input[1];
	terminal.screen = output[0];
	terminal.worker_fds[1] = output[1];
	return terminal;
}

static void terminal_close(struct terminal *terminal)
{
	fd_close(&terminal->worker_fds[0]);
	fd_close(&terminal->worker_fds[1]);
	fd_close(&terminal->keyboard);
	fd_close(&terminal->screen);
}

static void type(const struct terminal *terminal, const char *text)
{
	assert_int_equal(write(terminal->keyboard, text, strlen(text)), strlen(text));
}

static void output_arrives_in_order(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	console_guest_print(guest, "one ");
	console_guest_print(guest, "two");
	assert_reads(terminal.screen, "one two");
	terminal_close(&terminal);
}

static void a_chain_of_several_segments_is_one_text(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	struct ring_segment segments[] = {{guest->output, 3, false},
					  {guest->output + 4096, 4, false}};

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	memcpy(guest_ram_at(&guest->ram, guest->output), "abc", 3);
	memcpy(guest_ram_at(&guest->ram, guest->output + 4096), "defg", 4);
	assert_true(ring_driver_add(&guest->transmit, segments, 2) >= 0);
	assert_true(ring_driver_complete(&guest->transmit, WAIT_MS, NULL));
	assert_reads(terminal.screen, "abcdefg");
	terminal_close(&terminal);
}

static void input_fills_the_buffer_that_is_there(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	console_guest_offer_input(guest, 100);
	type(&terminal, "hello");
	assert_input_is(guest, "hello");
	terminal_close(&terminal);
}

static void input_waits_for_buffers_and_is_split_over_them(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	type(&terminal, "hello");
	console_guest_offer_input(guest, 3);
	assert_input_is(guest, "hel");
	console_guest_offer_input(guest, 3);
	assert_input_is(guest, "lo");
	terminal_close(&terminal);
}

static void input_that_nobody_takes_is_left_with_its_sender(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	char chunk[4096];
	size_t written = 0;
	struct pollfd poll_fd = {.fd = terminal.keyboard, .events = POLLOUT};

	memset(chunk, 'x', sizeof(chunk));
	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	while (poll(&poll_fd, 1, (int)NOT_WITHIN_MS) == 1) {
		assert_int_equal(write(terminal.keyboard, chunk, sizeof(chunk)), sizeof(chunk));
		written += sizeof(chunk);
		assert_true(written <= (1U << 20)); /* a pipe and a small buffer, no more */
	}
	console_guest_print(guest, "alive");
	assert_reads(terminal.screen, "alive");
	terminal_close(&terminal);
}

static void the_end_of_input_leaves_the_output_alone(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	console_guest_offer_input(guest, 100);
	type(&terminal, "bye");
	fd_close(&terminal.keyboard);
	assert_input_is(guest, "bye");
	console_guest_print(guest, "still here");
	assert_reads(terminal.screen, "still here");
	terminal_close(&terminal);
}

static void a_slow_terminal_delays_the_guest_and_loses_nothing(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	struct error err = ERROR_INIT;
	uint64_t bytes;
	bool waiting;
	size_t offered;

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	offered = console_guest_flood(guest, 1U << 20, &waiting);
	assert_true(waiting); /* the buffer is bounded */
	/* Nobody but the guest waits. */
	assert_int_equal(worker_driver_counter(&guest->driver, "output_bytes", &bytes, &err), 0);
	assert_reads_pattern(terminal.screen, offered);
	assert_true(ring_driver_complete(&guest->transmit, WAIT_MS, NULL));
	terminal_close(&terminal);
}

static void output_to_a_terminal_that_is_gone_is_dropped(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	bool waiting;

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	(void)console_guest_flood(guest, 1U << 20, &waiting);
	assert_true(waiting);
	fd_close(&terminal.screen);
	fd_close(&terminal.worker_fds[1]);
	assert_true(ring_driver_complete(&guest->transmit, WAIT_MS, NULL));
	assert_int_equal(console_guest_flood(guest, 1U << 20, &waiting), 1U << 20);
	assert_false(waiting);
	terminal_close(&terminal);
}

static void a_quiesce_with_a_stuck_terminal_neither_waits_nor_repeats_nor_loses(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	struct error err = ERROR_INIT;
	uint64_t before_ms;
	bool waiting;
	size_t offered;

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	offered = console_guest_flood(guest, 1U << 20, &waiting);
	assert_true(waiting);
	before_ms = channel_now_ms();
	assert_int_equal(worker_driver_quiesce(&guest->driver, 2000, &err), 0);
	assert_true(channel_now_ms() - before_ms < 1000);
	assert_true(ring_driver_complete(&guest->transmit, WAIT_MS, NULL)); /* given back, done */
	assert_int_equal(worker_driver_resume(&guest->driver, &err), 0);
	assert_reads_pattern(terminal.screen, offered);
	console_guest_print(guest, "after");
	assert_reads(terminal.screen, "after");
	terminal_close(&terminal);
}

static void nothing_moves_while_quiesced(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	struct error err = ERROR_INIT;

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	assert_int_equal(worker_driver_quiesce(&guest->driver, 2000, &err), 0);
	console_guest_offer_input(guest, 100);
	type(&terminal, "later");
	console_guest_offer(guest, "out", 3);
	assert_false(ring_driver_wait(&guest->receive, NOT_WITHIN_MS));
	assert_false(ring_driver_wait(&guest->transmit, 0));
	assert_int_equal(worker_driver_resume(&guest->driver, &err), 0);
	assert_input_is(guest, "later");
	assert_reads(terminal.screen, "out");
	terminal_close(&terminal);
}

static void a_malformed_ring_asks_for_a_reset_and_the_worker_lives(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	struct error err = ERROR_INIT;

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	ring_driver_offer(&guest->transmit, RING_SIZE);
	ring_driver_kick_always(&guest->transmit);
	assert_true(worker_driver_wait_event(&guest->driver, &guest->driver.needs_reset_count, 1,
					     WAIT_MS));
	assert_int_equal(worker_driver_reset(&guest->driver, 1000, &err), 0);
	ring_driver_reset(&guest->transmit);
	ring_driver_reset(&guest->receive);
	console_guest_activate(guest);
	console_guest_print(guest, "again");
	assert_reads(terminal.screen, "again");
	terminal_close(&terminal);
}

static void input_typed_before_a_reset_does_not_reach_the_next_driver(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	struct error err = ERROR_INIT;
	struct pollfd poll_fd = {.fd = terminal.worker_fds[0], .events = POLLIN};

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	type(&terminal, "secret");
	for (int i = 0; i < 100 && poll(&poll_fd, 1, 0) == 1; i++) /* until the worker has it */
		(void)usleep(10000);
	assert_int_equal(worker_driver_reset(&guest->driver, 1000, &err), 0);
	ring_driver_reset(&guest->transmit);
	ring_driver_reset(&guest->receive);
	console_guest_activate(guest);
	type(&terminal, "new");
	console_guest_offer_input(guest, 100);
	assert_input_is(guest, "new");
	terminal_close(&terminal);
}

static const struct virtio_console_config *config_space(const struct console_guest *guest)
{
	assert_int_equal(guest->driver.config_space_bytes, sizeof(struct virtio_console_config));
	return (const void *)guest->driver.config_space;
}

static void update_size(struct console_guest *guest, uint32_t columns, uint32_t rows, int expected)
{
	Bulkhead__Console__Update update;
	struct error err = ERROR_INIT;

	bulkhead__console__update__init(&update);
	update.columns = columns;
	update.rows = rows;
	assert_int_equal(worker_driver_update(&guest->driver, &update.base, NULL, 0, &err),
			 expected);
}

static void the_size_is_in_the_configuration_space_and_changes_are_announced(void **state)
{
	struct console_guest *guest = *state;
	Bulkhead__Console__Config config;
	struct error err = ERROR_INIT;

	bulkhead__console__config__init(&config);
	config.columns = 80;
	config.rows = 25;
	assert_int_equal(worker_driver_configure(&guest->driver, &config.base, NULL, 0, &err), 0);
	assert_true(guest->driver.features & (1U << VIRTIO_CONSOLE_F_SIZE));
	assert_int_equal(le16toh(config_space(guest)->cols), 80);
	assert_int_equal(le16toh(config_space(guest)->rows), 25);
	console_guest_activate(guest);
	update_size(guest, 132, 43, 0);
	assert_true(worker_driver_wait_event(&guest->driver, &guest->driver.config_changed_count, 1,
					     WAIT_MS));
	assert_int_equal(le16toh(config_space(guest)->cols), 132);
	assert_int_equal(le16toh(config_space(guest)->rows), 43);
	update_size(guest, 132, 43, 0);
	assert_int_equal(guest->driver.config_changed_count, 1);
}

static void a_size_that_no_terminal_has_is_refused(void **state)
{
	struct console_guest *guest = *state;

	console_guest_configure(guest, BULKHEAD__CONSOLE__MODE__MODE_NULL, NULL, 0);
	update_size(guest, 65536, 25, -EINVAL);
}

/* Save, and go on in another process with the same terminal. */
static void restart_from_state(struct console_guest *guest, const struct terminal *terminal,
			       uint32_t columns)
{
	struct worker_driver_activation activation = {
		.ram = &guest->ram, .rings = guest->rings, .ring_count = 2, .restored = true};
	Bulkhead__Console__Config config;
	struct error err = ERROR_INIT;
	uint8_t *saved = NULL;
	size_t saved_bytes = 0;

	assert_int_equal(worker_driver_quiesce(&guest->driver, 1000, &err), 0);
	assert_int_equal(worker_driver_save_state(&guest->driver, &saved, &saved_bytes, &err), 0);
	assert_int_equal(worker_driver_stop(&guest->driver), 0);
	assert_int_equal(worker_driver_start(&guest->driver, "console", &err), 0);
	bulkhead__console__config__init(&config);
	config.mode = TTY;
	config.columns = config.rows = columns;
	if (worker_driver_configure_saved(&guest->driver, &config.base, terminal->worker_fds, 2,
					  saved, saved_bytes, &err) < 0 ||
	    worker_driver_activate(&guest->driver, &activation, NULL, &err) < 0)
		fail_msg("%s", err.message);
	free(saved);
}

static void input_and_size_survive_into_another_process(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	struct pollfd poll_fd = {.fd = terminal.worker_fds[0], .events = POLLIN};

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	update_size(guest, 132, 43, 0);
	console_guest_print(guest, "before ");
	type(&terminal, "typed");
	for (int i = 0; i < 100 && poll(&poll_fd, 1, 0) == 1; i++)
		(void)usleep(10000);
	restart_from_state(guest, &terminal, 0);
	assert_int_equal(le16toh(config_space(guest)->cols), 132);
	console_guest_offer_input(guest, 100);
	assert_input_is(guest, "typed");
	console_guest_print(guest, "after");
	assert_reads(terminal.screen, "before after");
	terminal_close(&terminal);
}

static void a_restored_guest_learns_the_size_of_its_new_terminal(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();

	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	update_size(guest, 132, 43, 0);
	guest->driver.config_changed_count = 0;
	restart_from_state(guest, &terminal, 50);
	assert_true(worker_driver_wait_event(&guest->driver, &guest->driver.config_changed_count, 1,
					     WAIT_MS));
	assert_int_equal(le16toh(config_space(guest)->cols), 50);
	terminal_close(&terminal);
}

static void a_state_with_too_much_input_is_refused(void **state)
{
	struct console_guest *guest = *state;
	static uint8_t input[4097];
	Bulkhead__Worker__SavedState saved;
	Bulkhead__Console__State device;
	uint8_t device_bytes[4200], saved_bytes[4400];
	struct error err = ERROR_INIT;

	bulkhead__console__state__init(&device);
	device.pending_input.data = input;
	device.pending_input.len = sizeof(input);
	bulkhead__worker__saved_state__init(&saved);
	saved.version = 1;
	saved.kind = (char[]){"console"};
	saved.device.len = bulkhead__console__state__pack(&device, device_bytes);
	saved.device.data = device_bytes;
	assert_int_equal(worker_driver_configure_saved(
				 &guest->driver, NULL, NULL, 0, saved_bytes,
				 bulkhead__worker__saved_state__pack(&saved, saved_bytes), &err),
			 -EINVAL);
	assert_non_null(strstr(err.message, "4097 bytes of pending input"));
	assert_true(worker_driver_wait_end(&guest->driver, WAIT_MS));
	(void)worker_driver_stop(&guest->driver);
	assert_int_equal(worker_driver_start(&guest->driver, "console", &err), 0);
}

static void a_screen_full_of_receive_buffers_is_used_in_turns(void **state)
{
	struct console_guest *guest = *state;
	struct terminal terminal = terminal_open();
	char text[RING_SIZE * 2 + 1];
	unsigned received = 0;

	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	console_guest_run(guest, TTY, terminal.worker_fds, 2);
	type(&terminal, text);
	while (received < sizeof(text) - 1) {
		struct ring_segment segment = {guest->input, 1, true};
		uint16_t head;

		while (ring_driver_add(&guest->receive, &segment, 1) >= 0)
			;
		ring_driver_kick(&guest->receive);
		assert_true(ring_driver_wait(&guest->receive, WAIT_MS));
		while (ring_driver_take(&guest->receive, &head, NULL))
			received++;
	}
	terminal_close(&terminal);
}

int main(void)
{
#define CONSOLE_TEST(name)                                                                         \
	cmocka_unit_test_setup_teardown(name, console_guest_start, console_guest_stop)
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(output_arrives_in_order),
		CONSOLE_TEST(a_chain_of_several_segments_is_one_text),
		CONSOLE_TEST(input_fills_the_buffer_that_is_there),
		CONSOLE_TEST(input_waits_for_buffers_and_is_split_over_them),
		CONSOLE_TEST(input_that_nobody_takes_is_left_with_its_sender),
		CONSOLE_TEST(the_end_of_input_leaves_the_output_alone),
		CONSOLE_TEST(a_slow_terminal_delays_the_guest_and_loses_nothing),
		CONSOLE_TEST(output_to_a_terminal_that_is_gone_is_dropped),
		CONSOLE_TEST(a_quiesce_with_a_stuck_terminal_neither_waits_nor_repeats_nor_loses),
		CONSOLE_TEST(nothing_moves_while_quiesced),
		CONSOLE_TEST(a_malformed_ring_asks_for_a_reset_and_the_worker_lives),
		CONSOLE_TEST(input_typed_before_a_reset_does_not_reach_the_next_driver),
		CONSOLE_TEST(the_size_is_in_the_configuration_space_and_changes_are_announced),
		CONSOLE_TEST(a_size_that_no_terminal_has_is_refused),
		CONSOLE_TEST(input_and_size_survive_into_another_process),
		CONSOLE_TEST(a_restored_guest_learns_the_size_of_its_new_terminal),
		CONSOLE_TEST(a_state_with_too_much_input_is_refused),
		CONSOLE_TEST(a_screen_full_of_receive_buffers_is_used_in_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
