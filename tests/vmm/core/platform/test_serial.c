/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/serial.h"

#include <errno.h>

#include "tests/vmm/core/platform/platform_fixture.h"

#define DATA	0
#define IER	1
#define IIR	2
#define FCR	2
#define LCR	3
#define MCR	4
#define LSR	5
#define MSR	6
#define SCRATCH 7

#define LSR_READY   0x01
#define LSR_OVERRUN 0x02
#define LSR_EMPTY   0x60

struct serial_case {
	struct serial *serial;
	struct fixture_irq irq;
	unsigned wakes;
};

static uint8_t in(struct serial_case *test, unsigned number)
{
	return (uint8_t)fixture_read(&serial_ops, test->serial, number, 1);
}

static void out(struct serial_case *test, unsigned number, uint8_t value)
{
	fixture_write(&serial_ops, test->serial, number, 1, value);
}

static void give(struct serial_case *test, const char *text)
{
	serial_give_input(test->serial, (const uint8_t *)text, strlen(text));
}

static int setup(void **state)
{
	static struct serial_case test;
	struct irq_line line = {.set = fixture_irq_set, .opaque = &test.irq, .gsi = 4};

	test = (struct serial_case){.serial = serial_new(&line)};
	serial_set_backend(test.serial, fixture_count, &test.wakes);
	serial_set_connected(test.serial, true);
	out(&test, FCR, 0x01);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	serial_destroy(((struct serial_case *)*state)->serial);
	return 0;
}

static void written_bytes_reach_the_backend_in_order(void **state)
{
	struct serial_case *test = *state;
	uint8_t bytes[8];

	out(test, DATA, 'h');
	out(test, DATA, 'i');
	assert_int_equal(test->wakes, 1); /* one wake-up for both */
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)), 2);
	assert_memory_equal(bytes, "hi", 2);
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)), 0);
}

static void output_is_dropped_while_nobody_is_connected(void **state)
{
	struct serial_case *test = *state;
	uint8_t bytes[8];

	out(test, DATA, 'a');
	serial_set_connected(test->serial, false);
	out(test, DATA, 'b');
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)), 0);
	assert_int_equal(in(test, LSR) & LSR_EMPTY, LSR_EMPTY);
}

static void a_slow_backend_makes_the_transmitter_busy_and_loses_nothing(void **state)
{
	struct serial_case *test = *state;
	static uint8_t bytes[SERIAL_OUTPUT_BYTES];
	size_t written = 0;

	out(test, IER, 0x02);
	while (in(test, LSR) & 0x20)
		for (unsigned i = 0; i < 16; i++) /* as drivers do: a FIFO's worth a time */
			out(test, DATA, (uint8_t)written++);
	assert_true(written <= SERIAL_OUTPUT_BYTES);
	(void)in(test, IIR);
	assert_false(test->irq.level);
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)), written);
	for (size_t i = 0; i < written; i++)
		assert_int_equal(bytes[i], (uint8_t)i);
	assert_int_equal(in(test, LSR) & LSR_EMPTY, LSR_EMPTY);
	assert_true(test->irq.level); /* go on */
	assert_int_equal(in(test, IIR) & 0x0f, 0x02);
}

static void writes_beyond_the_ring_are_dropped(void **state)
{
	struct serial_case *test = *state;
	static uint8_t bytes[SERIAL_OUTPUT_BYTES + 1];

	for (unsigned i = 0; i < SERIAL_OUTPUT_BYTES + 100; i++)
		out(test, DATA, 'x');
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)),
			 SERIAL_OUTPUT_BYTES);
}

static void enabling_the_transmitter_interrupt_raises_it_and_iir_acknowledges(void **state)
{
	struct serial_case *test = *state;

	out(test, IER, 0x02);
	assert_true(test->irq.level);
	assert_int_equal(test->irq.gsi, 4);
	assert_int_equal(in(test, IIR), 0xc2);
	assert_false(test->irq.level);
	assert_int_equal(in(test, IIR), 0xc1);
	out(test, DATA, 'x');
	assert_true(test->irq.level);
	out(test, IER, 0);
	out(test, IER, 0x02);
	assert_int_equal(in(test, IIR), 0xc2);
}

static void input_raises_an_interrupt_until_it_is_read(void **state)
{
	struct serial_case *test = *state;

	out(test, IER, 0x01);
	give(test, "ok");
	assert_true(test->irq.level);
	assert_int_equal(in(test, IIR), 0xc4);
	assert_int_equal(in(test, LSR) & LSR_READY, LSR_READY);
	assert_int_equal(in(test, DATA), 'o');
	assert_true(test->irq.level);
	assert_int_equal(in(test, DATA), 'k');
	assert_false(test->irq.level);
	assert_int_equal(in(test, LSR) & LSR_READY, 0);
	assert_int_equal(in(test, DATA), 0);
}

static void a_full_fifo_stops_input_and_room_wakes_the_backend(void **state)
{
	struct serial_case *test = *state;
	uint8_t bytes[SERIAL_RECEIVE_BYTES] = {0};

	assert_int_equal(serial_input_room(test->serial), SERIAL_RECEIVE_BYTES);
	serial_give_input(test->serial, bytes, sizeof(bytes));
	assert_int_equal(serial_input_room(test->serial), 0);
	for (unsigned i = 0; i < SERIAL_RECEIVE_BYTES / 2; i++) {
		assert_int_equal(test->wakes, 0);
		(void)in(test, DATA);
	}
	assert_int_equal(test->wakes, 1);
	assert_int_equal(in(test, LSR) & LSR_OVERRUN, 0);
}

static void input_without_room_is_an_overrun(void **state)
{
	struct serial_case *test = *state;

	out(test, FCR, 0); /* one byte */
	out(test, IER, 0x04);
	give(test, "ab");
	assert_int_equal(in(test, IIR), 0x06);
	assert_int_equal(in(test, LSR) & LSR_OVERRUN, LSR_OVERRUN);
	assert_int_equal(in(test, LSR) & LSR_OVERRUN, 0);
	assert_int_equal(in(test, DATA), 'a');
}

static void loopback_returns_what_is_sent_and_mirrors_modem_lines(void **state)
{
	struct serial_case *test = *state;
	uint8_t bytes[4];

	out(test, MCR, 0x10 | 0x0a);
	assert_int_equal(in(test, MSR) & 0xf0, 0x90); /* RTS gives CTS, OUT2 gives DCD */
	out(test, DATA, 'l');
	assert_int_equal(in(test, DATA), 'l');
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)), 0);
	assert_int_equal(serial_input_room(test->serial), 0);
	out(test, MCR, 0x0b);
	assert_int_equal(test->wakes, 1);
	assert_int_equal(in(test, MSR) & 0xf0, 0xb0);
}

static void changed_modem_lines_interrupt_until_they_are_read(void **state)
{
	struct serial_case *test = *state;

	out(test, IER, 0x08);
	out(test, MCR, 0x10);
	assert_true(test->irq.level);
	assert_int_equal(in(test, IIR) & 0x0f, 0);
	assert_int_equal(in(test, MSR), 0x0b);
	assert_false(test->irq.level);
}

static void the_divisor_and_scratch_registers_hold_what_is_written(void **state)
{
	struct serial_case *test = *state;

	out(test, LCR, 0x83);
	out(test, DATA, 0x34);
	out(test, IER, 0x12);
	assert_int_equal(in(test, DATA), 0x34);
	assert_int_equal(in(test, IER), 0x12);
	out(test, LCR, 0x03);
	assert_int_equal(in(test, IER), 0);
	out(test, SCRATCH, 0x5a);
	assert_int_equal(in(test, SCRATCH), 0x5a);
}

static void fifo_control_clears_input_but_not_sent_output(void **state)
{
	struct serial_case *test = *state;
	uint8_t bytes[4];

	give(test, "x");
	out(test, DATA, 'y');
	out(test, FCR, 0x07);
	assert_int_equal(in(test, LSR) & LSR_READY, 0);
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)), 1);
}

static void wide_accesses_are_byte_accesses(void **state)
{
	struct serial_case *test = *state;

	fixture_write(&serial_ops, test->serial, SCRATCH, 4, 0x11223344);
	assert_int_equal(fixture_read(&serial_ops, test->serial, SCRATCH, 4), 0xffffff44);
}

static void saved_state_continues_in_another_port(void **state)
{
	struct serial_case *test = *state;
	Bulkhead__Platform__Serial saved = BULKHEAD__PLATFORM__SERIAL__INIT;
	static uint8_t buffer[SERIAL_STATE_BYTES];
	uint8_t bytes[8];

	out(test, IER, 0x01);
	out(test, SCRATCH, 9);
	out(test, DATA, 'o');
	give(test, "in");
	serial_save(test->serial, &saved, buffer);
	serial_reset(test->serial);
	assert_false(test->irq.level);
	(void)serial_take_output(test->serial, bytes, sizeof(bytes));
	assert_int_equal(serial_restore(test->serial, &saved, NULL), 0);
	assert_true(test->irq.level);
	assert_int_equal(in(test, SCRATCH), 9);
	assert_int_equal(in(test, DATA), 'i');
	assert_int_equal(in(test, DATA), 'n');
	assert_int_equal(serial_take_output(test->serial, bytes, sizeof(bytes)), 1);
	assert_int_equal(bytes[0], 'o');
}

static void what_is_typed_during_a_restore_comes_behind_what_was_saved(void **state)
{
	struct serial_case *test = *state;
	Bulkhead__Platform__Serial saved = BULKHEAD__PLATFORM__SERIAL__INIT;
	static uint8_t buffer[SERIAL_STATE_BYTES];

	give(test, "a");
	serial_save(test->serial, &saved, buffer);
	serial_reset(test->serial);
	give(test, "b"); /* the new port is as after power-on, without a FIFO */
	assert_int_equal(serial_restore(test->serial, &saved, NULL), 0);
	assert_int_equal(in(test, DATA), 'a');
	assert_int_equal(in(test, DATA), 'b');
	assert_false(in(test, LSR) & LSR_READY);
}

static void hostile_saved_state_is_refused(void **state)
{
	struct serial_case *test = *state;
	Bulkhead__Platform__Serial saved = BULKHEAD__PLATFORM__SERIAL__INIT;
	static uint8_t buffer[SERIAL_OUTPUT_BYTES + 1];

	saved.received = (ProtobufCBinaryData){SERIAL_RECEIVE_BYTES + 1, buffer};
	assert_int_equal(serial_restore(test->serial, &saved, NULL), -EINVAL);
	saved.received.len = 0;
	saved.output = (ProtobufCBinaryData){SERIAL_OUTPUT_BYTES + 1, buffer};
	assert_int_equal(serial_restore(test->serial, &saved, NULL), -EINVAL);
	saved.output.len = 0;
	saved.interrupt_enable = 0x10;
	assert_int_equal(serial_restore(test->serial, &saved, NULL), -EINVAL);
	saved.interrupt_enable = 0;
	assert_int_equal(serial_restore(test->serial, &saved, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(written_bytes_reach_the_backend_in_order),
		TEST(output_is_dropped_while_nobody_is_connected),
		TEST(a_slow_backend_makes_the_transmitter_busy_and_loses_nothing),
		TEST(writes_beyond_the_ring_are_dropped),
		TEST(enabling_the_transmitter_interrupt_raises_it_and_iir_acknowledges),
		TEST(input_raises_an_interrupt_until_it_is_read),
		TEST(a_full_fifo_stops_input_and_room_wakes_the_backend),
		TEST(input_without_room_is_an_overrun),
		TEST(loopback_returns_what_is_sent_and_mirrors_modem_lines),
		TEST(changed_modem_lines_interrupt_until_they_are_read),
		TEST(the_divisor_and_scratch_registers_hold_what_is_written),
		TEST(fifo_control_clears_input_but_not_sent_output),
		TEST(wide_accesses_are_byte_accesses),
		TEST(saved_state_continues_in_another_port),
		TEST(what_is_typed_during_a_restore_comes_behind_what_was_saved),
		TEST(hostile_saved_state_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
