/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/rtc_time.h"

#include <time.h>

#define HOURS_PM 0x80

static uint8_t encode(const uint8_t *registers, int value)
{
	if (registers[RTC_STATUS_B] & RTC_B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 << 4 | value % 10);
}

/* -1: not a number in this encoding. */
static int decode(const uint8_t *registers, uint8_t value)
{
	if (registers[RTC_STATUS_B] & RTC_B_BINARY)
		return value;
	if ((value & 0xf) > 9 || value >> 4 > 9)
		return -1;
	return (value >> 4) * 10 + (value & 0xf);
}

static uint8_t encode_hours(const uint8_t *registers, int hours)
{
	if (registers[RTC_STATUS_B] & RTC_B_24_HOURS)
		return encode(registers, hours);
	return encode(registers, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOURS_PM : 0);
}

static int decode_hours(const uint8_t *registers)
{
	uint8_t value = registers[RTC_HOURS];
	int hours;

	if (registers[RTC_STATUS_B] & RTC_B_24_HOURS)
		return decode(registers, value);
	hours = decode(registers, value & (uint8_t)~HOURS_PM);
	if (hours < 1 || hours > 12)
		return -1;
	return hours % 12 + (value & HOURS_PM ? 12 : 0);
}

void rtc_time_encode(uint8_t *registers, int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm date = {0};
	int year;

	if (!gmtime_r(&time, &date))
		return;
	year = date.tm_year + 1900;
	registers[RTC_SECONDS] = encode(registers, date.tm_sec);
	registers[RTC_MINUTES] = encode(registers, date.tm_min);
	registers[RTC_HOURS] = encode_hours(registers, date.tm_hour);
	registers[RTC_DAY_OF_WEEK] = encode(registers, date.tm_wday + 1);
	registers[RTC_DAY_OF_MONTH] = encode(registers, date.tm_mday);
	registers[RTC_MONTH] = encode(registers, date.tm_mon + 1);
	registers[RTC_YEAR] = encode(registers, year % 100);
	registers[RTC_CENTURY] = encode(registers, year / 100);
}

static bool in_range(int value, int minimum, int maximum)
{
	return value >= minimum && value <= maximum;
}

bool rtc_time_decode(const uint8_t *registers, int64_t *seconds)
{
	int century = decode(registers, registers[RTC_CENTURY]);
	struct tm date = {
		.tm_sec = decode(registers, registers[RTC_SECONDS]),
		.tm_min = decode(registers, registers[RTC_MINUTES]),
		.tm_hour = decode_hours(registers),
		.tm_mday = decode(registers, registers[RTC_DAY_OF_MONTH]),
		.tm_mon = decode(registers, registers[RTC_MONTH]) - 1,
		.tm_year = decode(registers, registers[RTC_YEAR]),
	};

	if (!in_range(date.tm_sec, 0, 59) || !in_range(date.tm_min, 0, 59) ||
	    !in_range(date.tm_hour, 0, 23) || !in_range(date.tm_mday, 1, 31) ||
	    !in_range(date.tm_mon, 0, 11) || !in_range(date.tm_year, 0, 99) ||
	    !in_range(century, 19, 29))
		return false;
	date.tm_year += century * 100 - 1900;
	*seconds = timegm(&date);
	return true;
}
