/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "vmm/core/host/host_report.h"

/* What print() writes about report, to be freed. */
static char *print_to_text(const struct host_report *report,
			   void (*print)(const struct host_report *, FILE *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	print(report, stream);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static json_t *print_and_parse(const struct host_report *report)
{
	char *text = print_to_text(report, host_report_print_json);
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("line %d: %s in: %s", error.line, error.text, text);
	free(text);
	return root;
}

static void an_empty_report_is_valid_json(void **state)
{
	const struct host_report report = {.count = 0};
	json_t *root = print_and_parse(&report);

	(void)state;
	assert_true(json_is_array(json_object_get(root, "checks")));
	assert_int_equal(json_array_size(json_object_get(root, "checks")), 0);
	json_decref(root);
}

static void every_byte_survives_as_valid_json(void **state)
{
	struct host_report report = {.count = 0};
	struct host_check *check = host_report_add(&report, "hostile", false);
	json_t *root;
	const char *detail;

	(void)state;
	for (unsigned i = 1; i < 256; i++)
		check->detail[i - 1] = (char)i;
	check->detail[255] = '\0';
	root = print_and_parse(&report);
	detail = json_string_value(
		json_object_get(json_array_get(json_object_get(root, "checks"), 0), "detail"));
	assert_non_null(detail);
	assert_memory_equal(detail, check->detail, 127);
	json_decref(root);
}

static void json_says_what_was_found(void **state)
{
	struct host_report report = {
		.kvm_backend = "kvm_amd", .nested = true, .execution = HOST_EXECUTION_NATIVE};
	struct host_check *check = host_report_add(&report, "tap", true);
	json_t *root, *kvm, *first;

	(void)state;
	host_check_missing(check, "no \"%s\"", "tun");
	host_check_advise(check, "load it");
	root = print_and_parse(&report);
	kvm = json_object_get(root, "kvm");
	first = json_array_get(json_object_get(root, "checks"), 0);
	assert_true(json_is_false(json_object_get(root, "can_run")));
	assert_true(json_is_true(json_object_get(root, "stock_kernels")));
	assert_string_equal(json_string_value(json_object_get(kvm, "backend")), "kvm_amd");
	assert_string_equal(json_string_value(json_object_get(kvm, "execution")), "native");
	assert_true(json_is_true(json_object_get(kvm, "nested")));
	assert_true(json_is_false(json_object_get(first, "ok")));
	assert_true(json_is_true(json_object_get(first, "required")));
	assert_string_equal(json_string_value(json_object_get(first, "detail")), "no \"tun\"");
	assert_string_equal(json_string_value(json_object_get(first, "advice")), "load it");
	json_decref(root);
}

static void only_a_missing_required_check_keeps_vms_from_running(void **state)
{
	struct host_report report = {.count = 0};
	struct host_check *required = host_report_add(&report, "kvm", true);
	struct host_check *optional = host_report_add(&report, "tap", false);

	(void)state;
	host_check_missing(optional, "none");
	host_check_ok(required, "there");
	assert_true(host_report_can_run(&report));
	host_check_missing(required, "gone");
	assert_false(host_report_can_run(&report));
}

static void text_advises_only_where_something_is_missing(void **state)
{
	struct host_report report = {.count = 0};
	struct host_check *there = host_report_add(&report, "tap", false);
	struct host_check *gone = host_report_add(&report, "landlock", false);
	char *text;

	(void)state;
	host_check_advise(there, "needless advice");
	host_check_ok(there, "found");
	host_check_missing(gone, "nowhere");
	host_check_advise(gone, "build it in");
	text = print_to_text(&report, host_report_print_text);
	assert_non_null(strstr(text, "tap            ok       found\n"));
	assert_non_null(strstr(text, "landlock       missing  nowhere; build it in\n"));
	assert_null(strstr(text, "needless"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_report_is_valid_json),
		cmocka_unit_test(every_byte_survives_as_valid_json),
		cmocka_unit_test(json_says_what_was_found),
		cmocka_unit_test(only_a_missing_required_check_keeps_vms_from_running),
		cmocka_unit_test(text_advises_only_where_something_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
