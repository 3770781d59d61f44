/* SPDX-License-Identifier: Apache-2.0 */
/* The MC146818 clock in the CMOS. */
#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "port.h"
#include "print.h"
#include "timers.h"

#define CMOS_INDEX	  0x70
#define CMOS_DATA	  0x71
#define STATUS_A_UPDATING 0x80
#define STATUS_B_BINARY	  0x04
#define STATUS_D_VALID	  0x80
#define HOUR_PM		  0x80
#define UPDATE_POLL_LIMIT 20000

enum cmos_register {
	CMOS_SECONDS = 0,
	CMOS_MINUTES = 2,
	CMOS_HOURS = 4,
	CMOS_DAY = 7,
	CMOS_MONTH = 8,
	CMOS_YEAR = 9,
	CMOS_STATUS_A = 10,
	CMOS_STATUS_B = 11,
	CMOS_STATUS_D = 13,
};

static uint8_t rtc_read(enum cmos_register index)
{
	port_write8(CMOS_INDEX, (uint8_t)index);
	return port_read8(CMOS_DATA);
}

static uint8_t rtc_read_number(enum cmos_register index, bool binary)
{
	uint8_t value = rtc_read(index);

	return binary ? value : (uint8_t)((value >> 4) * 10 + (value & 0xF));
}

static bool rtc_wait_update(void)
{
	for (int i = 0; i < UPDATE_POLL_LIMIT; i++) {
		if (!(rtc_read(CMOS_STATUS_A) & STATUS_A_UPDATING))
			return true;
	}
	return false;
}

void timers_check_rtc(void)
{
	bool binary = rtc_read(CMOS_STATUS_B) & STATUS_B_BINARY;
	uint8_t seconds, minutes, hours, day, month, year;

	if (!test_check("rtc_update_flag_clears", rtc_wait_update(), "it stays set"))
		return;
	seconds = rtc_read_number(CMOS_SECONDS, binary);
	minutes = rtc_read_number(CMOS_MINUTES, binary);
	hours = rtc_read_number(CMOS_HOURS, binary) & (uint8_t)~HOUR_PM;
	day = rtc_read_number(CMOS_DAY, binary);
	month = rtc_read_number(CMOS_MONTH, binary);
	year = rtc_read_number(CMOS_YEAR, binary);
	print("rtc %02u-%02u-%02u %02u:%02u:%02u\n", year, month, day, hours, minutes, seconds);
	test_check("rtc_date_is_sane",
		   day >= 1 && day <= 31 && month >= 1 && month <= 12 && year >= 20 && year <= 99,
		   "out of range");
	test_check("rtc_time_is_sane", seconds < 60 && minutes < 60 && hours < 24, "out of range");
	test_check("rtc_says_its_battery_is_good", rtc_read(CMOS_STATUS_D) & STATUS_D_VALID,
		   "the valid bit is clear");
}
