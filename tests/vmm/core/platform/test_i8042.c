/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/i8042.h"

#include <errno.h>

#include "tests/vmm/core/platform/platform_fixture.h"

struct i8042_case {
	struct i8042 *i8042;
	unsigned resets;
};

static void command(struct i8042_case *test, uint8_t value)
{
	fixture_write(&i8042_command_ops, test->i8042, 0, 1, value);
}

static uint8_t status(struct i8042_case *test)
{
	return (uint8_t)fixture_read(&i8042_command_ops, test->i8042, 0, 1);
}

static uint8_t data(struct i8042_case *test)
{
	return (uint8_t)fixture_read(&i8042_data_ops, test->i8042, 0, 1);
}

static int setup(void **state)
{
	static struct i8042_case test;

	test = (struct i8042_case){.i8042 = i8042_new(fixture_count, &test.resets)};
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	i8042_destroy(((struct i8042_case *)*state)->i8042);
	return 0;
}

static void the_reset_command_resets(void **state)
{
	struct i8042_case *test = *state;

	command(test, 0xf0); /* pulses nothing */
	assert_int_equal(test->resets, 0);
	command(test, 0xfe);
	assert_int_equal(test->resets, 1);
}

static void the_output_port_resets_when_its_line_goes_low(void **state)
{
	struct i8042_case *test = *state;

	command(test, 0xd1);
	fixture_write(&i8042_data_ops, test->i8042, 0, 1, 0x03);
	assert_int_equal(test->resets, 0);
	command(test, 0xd1);
	fixture_write(&i8042_data_ops, test->i8042, 0, 1, 0x02);
	assert_int_equal(test->resets, 1);
	fixture_write(&i8042_data_ops, test->i8042, 0, 1, 0x02); /* for the keyboard */
	assert_int_equal(test->resets, 1);
}

static void the_input_buffer_is_never_full(void **state)
{
	struct i8042_case *test = *state;

	assert_int_equal(status(test) & 0x02, 0);
	command(test, 0x60);
	assert_int_equal(status(test) & 0x02, 0);
}

static void the_self_test_passes(void **state)
{
	struct i8042_case *test = *state;

	assert_int_equal(status(test) & 1, 0);
	command(test, 0xaa);
	assert_int_equal(status(test) & 1, 1);
	assert_int_equal(data(test), 0x55);
	assert_int_equal(status(test) & 1, 0);
}

static void the_control_byte_is_written_and_read(void **state)
{
	struct i8042_case *test = *state;

	command(test, 0x60);
	fixture_write(&i8042_data_ops, test->i8042, 0, 1, 0x47);
	command(test, 0xad);
	command(test, 0x20);
	assert_int_equal(data(test), 0x57);
}

static void saved_state_continues_and_hostile_state_is_refused(void **state)
{
	struct i8042_case *test = *state;
	Bulkhead__Platform__I8042 saved = BULKHEAD__PLATFORM__I8042__INIT;

	command(test, 0xaa);
	command(test, 0x60);
	i8042_save(test->i8042, &saved);
	i8042_reset(test->i8042);
	assert_int_equal(status(test) & 1, 0);
	assert_int_equal(i8042_restore(test->i8042, &saved, NULL), 0);
	assert_int_equal(data(test), 0x55);
	fixture_write(&i8042_data_ops, test->i8042, 0, 1, 0x11);
	command(test, 0x20);
	assert_int_equal(data(test), 0x11);
	saved.control = 0x100;
	assert_int_equal(i8042_restore(test->i8042, &saved, NULL), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_reset_command_resets),
		TEST(the_output_port_resets_when_its_line_goes_low),
		TEST(the_input_buffer_is_never_full),
		TEST(the_self_test_passes),
		TEST(the_control_byte_is_written_and_read),
		TEST(saved_state_continues_and_hostile_state_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
