/* SPDX-License-Identifier: Apache-2.0 */
/* The values of command-line options: what is taken, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "vmm/core/config/option_string.h"

struct values {
	char *path;
	uint64_t size;
	uint32_t count;
	protobuf_c_boolean on;
	struct error err;
};

static int setup(void **state)
{
	struct values *values = calloc(1, sizeof(*values));

	values->path = (char *)(uintptr_t)protobuf_c_empty_string;
	*state = values;
	return 0;
}

static int teardown(void **state)
{
	struct values *values = *state;

	option_free_string(values->path);
	free(values);
	return 0;
}

static int parse(struct values *values, const char *text)
{
	const struct option_field fields[] = {
		{"path", OPTION_STRING, &values->path},
		{"size", OPTION_SIZE, &values->size},
		{"count", OPTION_COUNT, &values->count},
		{"on", OPTION_SWITCH, &values->on},
	};

	values->err = (struct error)ERROR_INIT;
	return option_string_parse("--thing", text, fields, 4, &values->err);
}

static void every_type_is_taken_in_any_order(void **state)
{
	struct values *values = *state;

	assert_int_equal(parse(values, "on=true,count=4294967295,path=/a b=c,size=512M"), 0);
	assert_string_equal(values->path, "/a b=c");
	assert_true(values->size == 512ULL << 20);
	assert_int_equal(values->count, UINT32_MAX);
	assert_true(values->on);
	assert_int_equal(parse(values, "on=off"), 0);
	assert_false(values->on);
	assert_string_equal(values->path, "/a b=c");
}

static void quotes_hold_commas(void **state)
{
	struct values *values = *state;

	assert_int_equal(parse(values, "path=\"/a,b\",count=1"), 0);
	assert_string_equal(values->path, "/a,b");
	assert_int_equal(values->count, 1);
	assert_int_equal(parse(values, "path=\"/a,count=1"), -EINVAL);
	assert_non_null(strstr(values->err.message, "quote"));
}

static void what_does_not_fit_is_refused_with_its_key(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "needs a value"},
		{"path", "key=value"},
		{",", "key=value"},
		{"path=", "path="},
		{"other=1", "unknown key \"other\"; known are: path, size, count, on"},
		{"size=1,size=2", "size is given twice"},
		{"size=", "size="},
		{"size=-1", "size=-1"},
		{"size=+1", "size=+1"},
		{"size=0x10", "size=0x10"},
		{"size=1.5G", "size=1.5G"},
		{"size=1GG", "size=1GG"},
		{"size=G", "size=G"},
		{"size= 1G", "size= 1G"},
		{"size=18446744073709551616", "size="},
		{"size=16777216T", "size="},
		{"size=99999999999999999999999999", "size="},
		{"count=4294967296", "count=4294967296"},
		{"count=1 ", "count=1 "},
		{"on=yes", "write on or off"},
		{"on=ON", "write on or off"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct values *values = *state;

		if (parse(values, bad[i].text) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i].text);
		if (strncmp(values->err.message, "--thing", 7) != 0 ||
		    !strstr(values->err.message, bad[i].says))
			fail_msg("\"%s\": \"%s\" does not say \"%s\"", bad[i].text,
				 values->err.message, bad[i].says);
	}
}

static void zero_is_not_taken_for_the_default(void **state)
{
	struct values *values = *state;

	assert_int_equal(parse(values, "size=0"), -EINVAL);
	assert_non_null(strstr(values->err.message, "--thing: size=0"));
	assert_int_equal(parse(values, "count=0"), -EINVAL);
	assert_non_null(strstr(values->err.message, "leave it out"));
	assert_int_equal(parse(values, "size=0K"), -EINVAL);
}

static void sizes_have_limits_and_suffixes(void **state)
{
	uint64_t bytes;

	(void)state;
	assert_int_equal(option_parse_size("18446744073709551615", &bytes), 0);
	assert_true(bytes == UINT64_MAX);
	assert_int_equal(option_parse_size("16777215T", &bytes), 0);
	assert_true(bytes == 16777215ULL << 40);
	assert_int_equal(option_parse_size("3k", &bytes), 0);
	assert_int_equal(bytes, 3072);
}

static void a_value_that_is_too_long_is_refused(void **state)
{
	char *text = malloc(10000);

	memset(text, 'x', 9999);
	text[9999] = '\0';
	memcpy(text, "path=", 5);
	assert_int_equal(parse(*state, text), -EINVAL);
	assert_non_null(strstr(((struct values *)*state)->err.message, "longer than"));
	text[4095] = '\0';
	assert_int_equal(parse(*state, text), 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(every_type_is_taken_in_any_order),
		TEST(quotes_hold_commas),
		TEST(what_does_not_fit_is_refused_with_its_key),
		cmocka_unit_test_setup_teardown(zero_is_not_taken_for_the_default, setup, teardown),
		TEST(sizes_have_limits_and_suffixes),
		TEST(a_value_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
