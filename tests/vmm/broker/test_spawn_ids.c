/* SPDX-License-Identifier: Apache-2.0 */
/* Which uid the next process gets when VMs come and go in one slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/broker/broker.h"

#define BASE 100000U

static struct broker *fresh_broker(void)
{
	static struct broker broker; /* large */

	memset(&broker, 0, sizeof(broker));
	broker.uids = (struct uid_slot){.lock_fd = -1, .base = BASE, .next = 1};
	return &broker;
}

static void a_uid_of_a_living_process_is_never_given_to_another(void **state)
{
	struct broker *broker = fresh_broker();
	struct error err = ERROR_INIT;
	uint32_t gateway, uid;

	(void)state;
	assert_int_equal(broker_choose_uid(broker, &gateway, &err), 0);
	broker->processes[0] = (struct process){.state = PROCESS_RUNNING, .uid = gateway};
	for (unsigned i = 0; i < 5 * UID_SLOT_IDS; i++) {
		assert_int_equal(broker_choose_uid(broker, &uid, &err), 0);
		assert_int_not_equal(uid, gateway);
		assert_true(uid > BASE && uid < BASE + UID_SLOT_IDS);
		/* Killed, but not gone yet. */
		broker->processes[1 + i % 8] =
			(struct process){.state = PROCESS_ENDING, .uid = uid};
		for (unsigned j = 1; j < 9; j++)
			for (unsigned k = j + 1; k < 9; k++)
				if (broker->processes[k].uid)
					assert_int_not_equal(broker->processes[j].uid,
							     broker->processes[k].uid);
	}
}

static void when_every_uid_is_taken_there_is_an_error(void **state)
{
	struct broker *broker = fresh_broker();
	struct error err = ERROR_INIT;
	uint32_t uid;

	(void)state;
	for (unsigned i = 0; i < UID_SLOT_IDS - 1; i++) {
		assert_int_equal(broker_choose_uid(broker, &uid, &err), 0);
		broker->processes[i] = (struct process){.state = PROCESS_RUNNING, .uid = uid};
	}
	assert_int_equal(broker_choose_uid(broker, &uid, &err), -EAGAIN);
	broker->processes[7].state = PROCESS_NONE;
	assert_int_equal(broker_choose_uid(broker, &uid, &err), 0);
	assert_int_equal(uid, broker->processes[7].uid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uid_of_a_living_process_is_never_given_to_another),
		cmocka_unit_test(when_every_uid_is_taken_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
