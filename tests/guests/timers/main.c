/* SPDX-License-Identifier: Apache-2.0 */
/* Every source of time: each must run, forwards, and at a plausible rate. */
#include "guest.h"
#include "timers.h"

void guest_main(void)
{
	timers_check_lapic();
	timers_check_pit();
	timers_check_clocks();
	timers_check_rtc();
}
