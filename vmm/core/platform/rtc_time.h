/* SPDX-License-Identifier: Apache-2.0 */
/* Time as the registers of an MC146818 hold it, in the encodings that its status B chooses. */
#ifndef BULKHEAD_VMM_CORE_PLATFORM_RTC_TIME_H
#define BULKHEAD_VMM_CORE_PLATFORM_RTC_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define RTC_SECONDS	 0x00
#define RTC_MINUTES	 0x02
#define RTC_HOURS	 0x04
#define RTC_DAY_OF_WEEK	 0x06
#define RTC_DAY_OF_MONTH 0x07
#define RTC_MONTH	 0x08
#define RTC_YEAR	 0x09
#define RTC_STATUS_B	 0x0b
#define RTC_CENTURY	 0x32

#define RTC_B_24_HOURS 0x02
#define RTC_B_BINARY   0x04

/* Store the UTC time, in seconds since 1970, into the clock's registers. */
void rtc_time_encode(uint8_t *registers, int64_t seconds);

/* Read them. False when they hold no date and time. */
bool rtc_time_decode(const uint8_t *registers, int64_t *seconds);

#endif
