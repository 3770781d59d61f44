/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/platform/rtc_time.h"

/*
 * The C library's conversions between seconds and dates may open a file (for a time zone that we do
 * not want), which the core's sandbox forbids: these are our own.
 */
#define HOURS_PM	  0x80
#define SECONDS_PER_DAY	  86400
#define EPOCH_DAY_OF_WEEK 4 /* 1970-01-01 was a Thursday */

/* The calendar repeats after 400 years; counted from 1 March, leap days come last in their years.
 */
#define DAYS_PER_400_YEARS	146097
#define DAYS_TO_1970_MARCH_BASE 719468 /* from 0000-03-01 to 1970-01-01 */

struct date {
	int year, month, day; /* month and day from 1 */
};

static struct date date_from_days(int64_t days_since_1970)
{
	int64_t days = days_since_1970 + DAYS_TO_1970_MARCH_BASE;
	int64_t era = (days >= 0 ? days : days - (DAYS_PER_400_YEARS - 1)) / DAYS_PER_400_YEARS;
	int day_of_era = (int)(days - era * DAYS_PER_400_YEARS);
	int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			   day_of_era / (DAYS_PER_400_YEARS - 1)) /
			  365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int march_month = (5 * day_of_year + 2) / 153; /* 0: March */
	int month = march_month < 10 ? march_month + 3 : march_month - 9;

	return (struct date){
		.year = (int)(era * 400) + year_of_era + (month <= 2),
		.month = month,
		.day = day_of_year - (153 * march_month + 2) / 5 + 1,
	};
}

/* year is not negative. Days past the end of a month count into the next. */
static int64_t days_from_date(struct date date)
{
	int64_t year = date.month <= 2 ? date.year - 1 : date.year;
	int64_t year_of_era = year % 400;
	int march_month = date.month > 2 ? date.month - 3 : date.month + 9;
	int64_t day_of_year = (153 * march_month + 2) / 5 + date.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return year / 400 * DAYS_PER_400_YEARS + day_of_era - DAYS_TO_1970_MARCH_BASE;
}

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
	int64_t second_of_day = (seconds % SECONDS_PER_DAY + SECONDS_PER_DAY) % SECONDS_PER_DAY;
	int64_t days = (seconds - second_of_day) / SECONDS_PER_DAY;
	int day_of_week = (int)(((days + EPOCH_DAY_OF_WEEK) % 7 + 7) % 7); /* 0: Sunday */
	struct date date = date_from_days(days);

	registers[RTC_SECONDS] = encode(registers, (int)(second_of_day % 60));
	registers[RTC_MINUTES] = encode(registers, (int)(second_of_day / 60 % 60));
	registers[RTC_HOURS] = encode_hours(registers, (int)(second_of_day / 3600));
	registers[RTC_DAY_OF_WEEK] = encode(registers, day_of_week + 1);
	registers[RTC_DAY_OF_MONTH] = encode(registers, date.day);
	registers[RTC_MONTH] = encode(registers, date.month);
	registers[RTC_YEAR] = encode(registers, (date.year % 100 + 100) % 100);
	registers[RTC_CENTURY] = encode(registers, (date.year / 100 % 100 + 100) % 100);
}

static bool in_range(int value, int minimum, int maximum)
{
	return value >= minimum && value <= maximum;
}

bool rtc_time_decode(const uint8_t *registers, int64_t *seconds)
{
	int second = decode(registers, registers[RTC_SECONDS]);
	int minute = decode(registers, registers[RTC_MINUTES]);
	int hour = decode_hours(registers);
	int year = decode(registers, registers[RTC_YEAR]);
	int century = decode(registers, registers[RTC_CENTURY]);
	struct date date = {
		.year = century * 100 + year,
		.month = decode(registers, registers[RTC_MONTH]),
		.day = decode(registers, registers[RTC_DAY_OF_MONTH]),
	};

	if (!in_range(second, 0, 59) || !in_range(minute, 0, 59) || !in_range(hour, 0, 23) ||
	    !in_range(date.day, 1, 31) || !in_range(date.month, 1, 12) || !in_range(year, 0, 99) ||
	    !in_range(century, 19, 29))
		return false;
	*seconds = days_from_date(date) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
	return true;
}
