/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>

#include "clock.h"
#include "guest.h"
#include "print.h"
#include "timers.h"

#define ATTEMPTS    10
#define INTERVAL_US 5000

struct rate_sample {
	uint64_t by_tsc_us;
	uint64_t by_clock_us;
};

static struct rate_sample rate_measure(void (*start)(void), uint64_t (*now_us)(void))
{
	struct rate_sample sample;
	uint64_t tsc_start_us;
	uint64_t clock_start_us;

	if (start != NULL)
		start();
	clock_start_us = now_us();
	tsc_start_us = clock_now_us();
	clock_delay_us(INTERVAL_US);
	sample.by_clock_us = now_us() - clock_start_us;
	sample.by_tsc_us = clock_now_us() - tsc_start_us;
	return sample;
}

void timers_check_rate(const char *test, void (*start)(void), uint64_t (*now_us)(void))
{
	struct rate_sample sample = {0};

	for (int i = 0; i < ATTEMPTS; i++) {
		sample = rate_measure(start, now_us);
		if (sample.by_clock_us > sample.by_tsc_us * 8 / 10 &&
		    sample.by_clock_us < sample.by_tsc_us * 12 / 10) {
			test_ok(test);
			return;
		}
	}
	test_fail(test, "%lu us by the tsc are %lu us", sample.by_tsc_us, sample.by_clock_us);
}
