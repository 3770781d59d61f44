/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipc/pending.h"

static void ids_skip_zero_and_those_in_use(void **state)
{
	struct pending_table table = {.last_id = UINT32_MAX - 1};
	struct pending_request request = {.type = 1};

	(void)state;
	assert_int_equal(pending_add(&table, &request), 0);
	assert_int_equal(request.id, UINT32_MAX);
	assert_int_equal(pending_add(&table, &request), 0);
	assert_int_equal(request.id, 1);
	table.last_id = 0;
	assert_int_equal(pending_add(&table, &request), 0);
	assert_int_equal(request.id, 2);
}

static void ids_of_late_requests_are_not_used_again(void **state)
{
	struct pending_table table = {.last_id = 0};
	struct pending_request request = {.type = 1};

	(void)state;
	assert_int_equal(pending_add(&table, &request), 0);
	assert_true(pending_take(&table, 1, &request));
	assert_int_equal(pending_add_late(&table, &request), 0);
	table.last_id = 0;
	assert_int_equal(pending_add(&table, &request), 0);
	assert_int_equal(request.id, 2);
}

static void requests_expire_in_the_order_they_were_sent(void **state)
{
	struct pending_table table = {.last_id = 0};
	struct pending_request request;

	(void)state;
	for (uint64_t deadline = 30; deadline >= 10; deadline -= 10) {
		request = (struct pending_request){.type = 1, .deadline_ms = deadline};
		assert_int_equal(pending_add(&table, &request), 0);
	}
	assert_int_equal(pending_next_deadline_ms(&table), 10);
	assert_true(pending_take_expired(&table, 20, &request));
	assert_int_equal(request.deadline_ms, 20);
	assert_true(pending_take_expired(&table, 20, &request));
	assert_int_equal(request.deadline_ms, 10);
	assert_false(pending_take_expired(&table, 20, &request));
	assert_int_equal(pending_next_deadline_ms(&table), 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_skip_zero_and_those_in_use),
		cmocka_unit_test(ids_of_late_requests_are_not_used_again),
		cmocka_unit_test(requests_expire_in_the_order_they_were_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
