/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/blk/state.h"

static void packed_state_comes_back(void **state)
{
	const struct blk_state saved = {.size_bytes = UINT64_C(5) << 33};
	struct blk_state restored = {0};
	struct error err = ERROR_INIT;
	uint8_t *bytes = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(blk_state_pack(&saved, &bytes, &count, &err), 0);
	assert_int_equal(blk_state_unpack(&restored, bytes, count, saved.size_bytes, &err), 0);
	assert_int_equal(restored.size_bytes, saved.size_bytes);
	free(bytes);
}

static void state_of_another_size_is_refused_with_both_sizes(void **state)
{
	const struct blk_state saved = {.size_bytes = 1048576};
	struct blk_state restored = {0};
	struct error err = ERROR_INIT;
	uint8_t *bytes = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(blk_state_pack(&saved, &bytes, &count, &err), 0);
	assert_int_equal(blk_state_unpack(&restored, bytes, count, 512, &err), -EINVAL);
	assert_non_null(strstr(err.message, "1048576"));
	assert_non_null(strstr(err.message, " 512"));
	assert_int_equal(restored.size_bytes, 0);
	free(bytes);
}

static void missing_state_is_that_of_an_empty_image(void **state)
{
	struct blk_state restored = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(blk_state_unpack(&restored, NULL, 0, 512, &err), -EINVAL);
	assert_int_equal(blk_state_unpack(&restored, NULL, 0, 0, &err), 0);
}

static void garbage_is_refused(void **state)
{
	uint8_t garbage[5000];
	struct blk_state restored = {0};
	struct error err = ERROR_INIT;

	(void)state;
	memset(garbage, 0xff, sizeof(garbage));
	assert_int_equal(blk_state_unpack(&restored, garbage, 16, 512, &err), -EINVAL);
	assert_int_equal(blk_state_unpack(&restored, garbage, sizeof(garbage), 512, &err), -EINVAL);
}

static void unknown_fields_are_ignored(void **state)
{
	/* size_bytes = 512, and a field 9 of a later version. */
	const uint8_t later[] = {0x08, 0x80, 0x04, 0x48, 0x01};
	struct blk_state restored = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(blk_state_unpack(&restored, later, sizeof(later), 512, &err), 0);
	assert_int_equal(restored.size_bytes, 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_state_comes_back),
		cmocka_unit_test(state_of_another_size_is_refused_with_both_sizes),
		cmocka_unit_test(missing_state_is_that_of_an_empty_image),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(unknown_fields_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
