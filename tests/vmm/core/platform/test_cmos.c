/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/cmos.h"

#include <errno.h>

#include "tests/vmm/core/platform/platform_fixture.h"

#define INDEX 0
#define DATA  1

/* 2026-02-28 23:59:58 UTC, a Saturday. */
#define EVENING_SECONDS 1772323198LL
#define NS		1000000000LL

static int64_t fake_now_ns;

static int64_t fake_clock(void)
{
	return fake_now_ns;
}

static uint8_t get(struct cmos *cmos, uint8_t index)
{
	fixture_write(&cmos_ops, cmos, INDEX, 1, index);
	return (uint8_t)fixture_read(&cmos_ops, cmos, DATA, 1);
}

static void set(struct cmos *cmos, uint8_t index, uint8_t value)
{
	fixture_write(&cmos_ops, cmos, INDEX, 1, index);
	fixture_write(&cmos_ops, cmos, DATA, 1, value);
}

static int setup(void **state)
{
	struct cmos_options options = {
		.ram_below_hole_bytes = 3ULL << 30,
		.ram_above_hole_bytes = 1ULL << 30,
		.now_ns = fake_clock,
	};

	fake_now_ns = EVENING_SECONDS * NS;
	*state = cmos_new(&options);
	return 0;
}

static int teardown(void **state)
{
	cmos_destroy(*state);
	return 0;
}

static void expect_time(struct cmos *cmos, const uint8_t expected[8])
{
	static const uint8_t indices[] = {0x32, 9, 8, 7, 6, 4, 2, 0};

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get(cmos, indices[i]), expected[i]);
}

static void the_time_is_utc_in_bcd(void **state)
{
	const uint8_t evening[] = {0x20, 0x26, 0x02, 0x28, 7, 0x23, 0x59, 0x58};
	const uint8_t midnight[] = {0x20, 0x26, 0x03, 0x01, 1, 0x00, 0x00, 0x00};

	expect_time(*state, evening);
	fake_now_ns += 2 * NS;
	expect_time(*state, midnight);
}

static void binary_and_12_hour_modes_are_honoured(void **state)
{
	set(*state, 0x0b, 0x06);
	assert_int_equal(get(*state, 4), 23);
	assert_int_equal(get(*state, 0), 58);
	set(*state, 0x0b, 0x00);
	assert_int_equal(get(*state, 4), 0x91); /* 11 PM */
	fake_now_ns += 2 * NS;
	assert_int_equal(get(*state, 4), 0x12); /* 12 AM */
}

static void a_clock_that_is_set_goes_on_from_there(void **state)
{
	const uint8_t expected[] = {0x20, 0x30, 0x12, 0x24, 3, 0x18, 0x30, 0x05};

	set(*state, 0x0b, 0x82);
	set(*state, 0x32, 0x20);
	set(*state, 9, 0x30);
	set(*state, 8, 0x12);
	set(*state, 7, 0x24);
	set(*state, 4, 0x18);
	set(*state, 2, 0x30);
	set(*state, 0, 0x00);
	fake_now_ns += 100 * NS;
	assert_int_equal(get(*state, 0), 0x00); /* held */
	set(*state, 0x0b, 0x02);
	fake_now_ns += 5 * NS;
	expect_time(*state, expected);
}

static void nonsense_does_not_set_the_clock(void **state)
{
	const uint8_t evening[] = {0x20, 0x26, 0x02, 0x28, 7, 0x23, 0x59, 0x58};

	set(*state, 0x0b, 0x82);
	set(*state, 8, 0x13);
	set(*state, 0x0b, 0x02);
	expect_time(*state, evening);
	set(*state, 0, 0x7a);
	expect_time(*state, evening);
}

static void update_in_progress_comes_and_goes(void **state)
{
	assert_int_equal(get(*state, 0x0a) & 0x80, 0);
	fake_now_ns += NS - 100000;
	assert_int_equal(get(*state, 0x0a) & 0x80, 0x80);
	set(*state, 0x0b, 0x82);
	assert_int_equal(get(*state, 0x0a) & 0x80, 0);
}

static void status_c_says_what_happened_since_it_was_read(void **state)
{
	assert_int_equal(get(*state, 0x0c), 0);
	fake_now_ns += 1000000; /* beyond 1/1024 s */
	assert_int_equal(get(*state, 0x0c), 0x40);
	assert_int_equal(get(*state, 0x0c), 0);
	fake_now_ns += NS;
	set(*state, 0x0b, 0x12);
	assert_int_equal(get(*state, 0x0c), 0xd0);
}

static void memory_sizes_are_where_firmware_leaves_them(void **state)
{
	assert_int_equal(get(*state, 0x34) | get(*state, 0x35) << 8,
			 (((3ULL << 30) - (16 << 20)) >> 16));
	assert_int_equal(get(*state, 0x30) | get(*state, 0x31) << 8, 0xffff);
	assert_int_equal(get(*state, 0x5b) | get(*state, 0x5c) << 8 | get(*state, 0x5d) << 16,
			 0x4000);
}

static void other_registers_are_memory_and_bit_7_of_the_index_is_ignored(void **state)
{
	set(*state, 0x80 | 0x40, 0xa5);
	assert_int_equal(get(*state, 0x40), 0xa5);
	assert_int_equal(get(*state, 0x0d), 0x80);
}

static void saved_state_continues_in_another_clock(void **state)
{
	Bulkhead__Platform__Cmos saved = BULKHEAD__PLATFORM__CMOS__INIT;
	struct cmos_options options = {.now_ns = fake_clock};
	uint8_t registers[CMOS_REGISTER_COUNT];
	struct cmos *other = cmos_new(&options);

	set(*state, 9, 0x40); /* another year */
	set(*state, 0x40, 0x77);
	cmos_save(*state, &saved, registers);
	assert_int_equal(cmos_restore(other, &saved, NULL), 0);
	assert_int_equal(get(other, 9), 0x40);
	assert_int_equal(get(other, 0x40), 0x77);
	cmos_destroy(other);
}

static void hostile_saved_state_is_refused(void **state)
{
	Bulkhead__Platform__Cmos saved = BULKHEAD__PLATFORM__CMOS__INIT;
	uint8_t registers[CMOS_REGISTER_COUNT] = {0};

	assert_int_equal(cmos_restore(*state, &saved, NULL), -EINVAL);
	saved.registers = (ProtobufCBinaryData){sizeof(registers), registers};
	saved.index = 128;
	assert_int_equal(cmos_restore(*state, &saved, NULL), -EINVAL);
	saved.index = 0;
	saved.offset_seconds = INT64_MIN;
	assert_int_equal(cmos_restore(*state, &saved, NULL), -EINVAL);
	saved.offset_seconds = 0;
	assert_int_equal(cmos_restore(*state, &saved, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_time_is_utc_in_bcd),
		TEST(binary_and_12_hour_modes_are_honoured),
		TEST(a_clock_that_is_set_goes_on_from_there),
		TEST(nonsense_does_not_set_the_clock),
		TEST(update_in_progress_comes_and_goes),
		TEST(status_c_says_what_happened_since_it_was_read),
		TEST(memory_sizes_are_where_firmware_leaves_them),
		TEST(other_registers_are_memory_and_bit_7_of_the_index_is_ignored),
		TEST(saved_state_continues_in_another_clock),
		TEST(hostile_saved_state_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
