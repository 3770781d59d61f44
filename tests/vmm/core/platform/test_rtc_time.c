/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/rtc_time.h"

#include <time.h>

#include "tests/vmm/core/platform/platform_fixture.h"

#define REGISTERS    128
#define FIRST_SECOND -2208988800LL /* 1900-01-01 */
#define LAST_SECOND  32503679999LL /* 2999-12-31 23:59:59 */

static void expect_as_the_c_library(int64_t seconds)
{
	uint8_t registers[REGISTERS] = {[RTC_STATUS_B] = RTC_B_24_HOURS | RTC_B_BINARY};
	time_t time = (time_t)seconds;
	int64_t again = 0;
	struct tm date;

	assert_non_null(gmtime_r(&time, &date));
	rtc_time_encode(registers, seconds);
	assert_int_equal(registers[RTC_CENTURY] * 100 + registers[RTC_YEAR], date.tm_year + 1900);
	assert_int_equal(registers[RTC_MONTH], date.tm_mon + 1);
	assert_int_equal(registers[RTC_DAY_OF_MONTH], date.tm_mday);
	assert_int_equal(registers[RTC_DAY_OF_WEEK], date.tm_wday + 1);
	assert_int_equal(registers[RTC_HOURS], date.tm_hour);
	assert_int_equal(registers[RTC_MINUTES], date.tm_min);
	assert_int_equal(registers[RTC_SECONDS], date.tm_sec);
	assert_true(rtc_time_decode(registers, &again));
	assert_int_equal(again, seconds);
}

static void every_day_of_eleven_centuries_is_as_the_c_library_says(void **state)
{
	(void)state;
	for (int64_t at = FIRST_SECOND; at <= LAST_SECOND; at += 86400)
		expect_as_the_c_library(at);
	expect_as_the_c_library(LAST_SECOND);
	expect_as_the_c_library(-1);
}

static void times_out_of_range_do_no_harm(void **state)
{
	uint8_t registers[REGISTERS] = {0};
	int64_t seconds;

	(void)state;
	rtc_time_encode(registers, -100000000000LL);
	rtc_time_encode(registers, 1000000000000LL);
	registers[RTC_MONTH] = 0;
	assert_false(rtc_time_decode(registers, &seconds));
	registers[RTC_MONTH] = 0x0a; /* no digit */
	assert_false(rtc_time_decode(registers, &seconds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_of_eleven_centuries_is_as_the_c_library_says),
		cmocka_unit_test(times_out_of_range_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
