/* SPDX-License-Identifier: Apache-2.0 */
/* The checks on this host, whatever it has: they must agree with what the things themselves say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/core/host/host_kernel.h"
#include "vmm/core/host/host_kvm.h"
#include "vmm/core/host/host_text_file.h"

static const struct host_check *find_check(const struct host_report *report, const char *name)
{
	for (unsigned i = 0; i < report->count; i++)
		if (strcmp(report->checks[i].name, name) == 0)
			return &report->checks[i];
	return NULL;
}

static void kvm_is_found_exactly_when_its_device_opens(void **state)
{
	struct host_report report = {.count = 0};
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)state;
	host_check_kvm(&report);
	assert_non_null(find_check(&report, "kvm"));
	assert_int_equal(find_check(&report, "kvm")->ok, fd >= 0);
	if (fd >= 0)
		close(fd);
}

static void a_trial_guest_decides_whether_stock_kernels_boot(void **state)
{
	struct host_report report = {.count = 0};
	const struct host_check *check;

	(void)state;
	host_check_kvm(&report);
	check = find_check(&report, "stock-kernels");
	if (!check) {
		print_message("skip: no usable KVM here\n");
		skip();
	}
	assert_int_not_equal(report.execution, HOST_EXECUTION_UNKNOWN);
	assert_int_equal(check->ok, report.execution == HOST_EXECUTION_NATIVE);
	/* This back end has no hardware to run an unaware guest with. */
	if (strcmp(report.kvm_backend, "kvm_pvm") == 0)
		assert_int_equal(report.execution, HOST_EXECUTION_EMULATED);
}

static void every_missing_thing_comes_with_advice(void **state)
{
	struct host_report report = {.count = 0};

	(void)state;
	host_check_kvm(&report);
	host_check_sandbox(&report);
	host_check_features(&report);
	for (unsigned i = 0; i < report.count; i++) {
		assert_true(report.checks[i].detail[0] != '\0');
		assert_true(report.checks[i].ok || report.checks[i].advice[0]);
	}
}

static void checks_leave_no_fd_open(void **state)
{
	struct host_report report = {.count = 0};
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

	(void)state;
	close(before);
	host_check_kvm(&report);
	host_check_sandbox(&report);
	host_check_features(&report);
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(after);
	assert_int_equal(before, after);
}

static void a_text_file_is_read_without_its_last_newline(void **state)
{
	char text[64], cut[4];

	(void)state;
	assert_int_equal(host_read_text("/proc/sys/kernel/ostype", text, sizeof(text)), 0);
	assert_string_equal(text, "Linux");
	assert_int_equal(host_read_text("/proc/sys/kernel/ostype", cut, sizeof(cut)), 0);
	assert_string_equal(cut, "Lin");
	assert_true(host_read_text("/nowhere", text, sizeof(text)) < 0);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kvm_is_found_exactly_when_its_device_opens),
		cmocka_unit_test(a_trial_guest_decides_whether_stock_kernels_boot),
		cmocka_unit_test(every_missing_thing_comes_with_advice),
		cmocka_unit_test(checks_leave_no_fd_open),
		cmocka_unit_test(a_text_file_is_read_without_its_last_newline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
