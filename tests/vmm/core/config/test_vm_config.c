/* SPDX-License-Identifier: Apache-2.0 */
/* Completing a configuration: from the command line, from a client, or from a snapshot that anybody
 * may have written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/config/option_string.h"
#include "vmm/core/config/vm_config.h"

struct config_test {
	Bulkhead__Config__Vm *config;
	struct error err;
};

static int setup(void **state)
{
	struct config_test *test = calloc(1, sizeof(*test));

	test->config = vm_config_new();
	*state = test;
	return test->config ? 0 : -1;
}

static int teardown(void **state)
{
	struct config_test *test = *state;

	vm_config_free(test->config);
	free(test);
	return 0;
}

static void set(char **field, const char *text)
{
	assert_int_equal(option_set_string(field, text, strlen(text)), 0);
}

static Bulkhead__Config__Disk *add_disk(struct config_test *test, const char *id)
{
	Bulkhead__Config__Disk *disk = vm_config_add_disk(test->config);

	assert_non_null(disk);
	set(&disk->path, "/srv/image");
	if (id)
		set(&disk->id, id);
	return disk;
}

static void expect_ok(struct config_test *test)
{
	if (vm_config_complete(test->config, &test->err) != 0)
		fail_msg("%s", test->err.message);
}

static void expect_refused(struct config_test *test, int code, const char *text)
{
	assert_int_equal(vm_config_complete(test->config, &test->err), code);
	if (!strstr(test->err.message, text))
		fail_msg("\"%s\" does not say \"%s\"", test->err.message, text);
}

static void an_empty_configuration_gets_defaults(void **state)
{
	struct config_test *test = *state;

	expect_ok(test);
	assert_string_equal(test->config->name, "vm");
	assert_int_equal(test->config->cpus->boot, 1);
	assert_int_equal(test->config->cpus->max, 1);
	assert_true(test->config->memory->size_bytes == 512ULL << 20);
	assert_int_equal(test->config->serial->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY);
	/* And completing again changes nothing. */
	expect_ok(test);
}

static void disks_get_names_and_serial_numbers(void **state)
{
	struct config_test *test = *state;
	Bulkhead__Config__Disk *named = add_disk(test, "a-name-longer-than-a-serial-number");

	add_disk(test, NULL);
	expect_ok(test);
	assert_string_equal(named->serial, "a-name-longer-than-a");
	assert_string_equal(test->config->disks[1]->id, "disk1");
	assert_int_equal(named->num_queues, 1);
	assert_int_equal(named->queue_size, 256);
}

static void parts_that_are_missing_are_an_error_not_a_crash(void **state)
{
	struct config_test *test = *state;
	Bulkhead__Config__Serial *serial = test->config->serial;

	test->config->serial = NULL;
	expect_refused(test, -EINVAL, "lacks");
	test->config->serial = serial;
}

static void vcpus_have_limits(void **state)
{
	struct config_test *test = *state;

	test->config->cpus->boot = VM_CONFIG_MAX_CPUS + 1;
	expect_refused(test, -EINVAL, "--cpus");
	test->config->cpus->boot = 4;
	test->config->cpus->max = 2;
	expect_refused(test, -EINVAL, "less than boot=4");
	test->config->cpus->max = UINT32_MAX;
	expect_refused(test, -EINVAL, "--cpus");
}

static void memory_has_limits(void **state)
{
	static const uint64_t bad[] = {1, 8ULL << 20, (16ULL << 20) + 4096,
				       (1ULL << 40) + (2 << 20), UINT64_MAX};
	struct config_test *test = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		test->config->memory->size_bytes = bad[i];
		expect_refused(test, -EINVAL, "--memory");
	}
	test->config->memory->size_bytes = 16ULL << 20;
	test->config->memory->hugepages = true;
	set(&test->config->memory->file, "/dev/shm/m");
	expect_refused(test, -EINVAL, "exclude each other");
}

static void ids_are_plain_words(void **state)
{
	static const char *const bad[] = {
		"a/b",	"..",	".hidden", "a b",
		"a\nb", "\xff", "a:b",	   "12345678901234567890123456789012345678901"};
	struct config_test *test = *state;
	Bulkhead__Config__Disk *disk = add_disk(test, "x");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set(&disk->id, bad[i]);
		expect_refused(test, -EINVAL, "--disk");
	}
	set(&disk->id, "Root-disk_1.img");
	expect_ok(test);
	set(&test->config->name, "../vm");
	expect_refused(test, -EINVAL, "--name");
}

static void no_two_devices_have_one_id(void **state)
{
	struct config_test *test = *state;
	Bulkhead__Config__Disk *disk;

	add_disk(test, "one");
	disk = add_disk(test, "one");
	expect_refused(test, -EINVAL, "one");
	(void)vm_config_rng(test->config);
	set(&disk->id, "rng");
	expect_refused(test, -EINVAL, "rng");
	set(&disk->id, "two");
	vm_config_console(test->config)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	set(&test->config->console->id, "rng");
	expect_refused(test, -EINVAL, "rng");
	set(&test->config->console->id, "two");
	expect_refused(test, -EINVAL, "two");
	set(&test->config->console->id, "three");
	expect_ok(test);
}

static void the_default_name_of_a_disk_may_be_taken(void **state)
{
	struct config_test *test = *state;

	add_disk(test, "disk1");
	add_disk(test, NULL);
	expect_refused(test, -EINVAL, "disk1");
}

static void queues_of_a_disk_have_limits(void **state)
{
	static const uint32_t bad_sizes[] = {1, 2, 3, 100, 2048, 0x80000000U, UINT32_MAX};
	struct config_test *test = *state;
	Bulkhead__Config__Disk *disk = add_disk(test, "x");

	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
		disk->queue_size = bad_sizes[i];
		expect_refused(test, -EINVAL, "queue_size");
	}
	disk->queue_size = 1024;
	disk->num_queues = 17;
	expect_refused(test, -EINVAL, "num_queues");
	disk->num_queues = 16;
	expect_ok(test);
}

static void there_is_an_end_to_disks(void **state)
{
	struct config_test *test = *state;

	for (unsigned i = 0; i < VM_CONFIG_MAX_DISKS; i++)
		add_disk(test, NULL);
	expect_ok(test);
	add_disk(test, NULL);
	expect_refused(test, -EINVAL, "disks");
}

static void terminals_need_what_they_write_to(void **state)
{
	struct config_test *test = *state;

	test->config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	expect_refused(test, -EINVAL, "path= is missing");
	test->config->serial->mode = (Bulkhead__Config__SerialMode)4711;
	expect_refused(test, -EINVAL, "unknown mode");
	test->config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY;
	vm_config_console(test->config)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_TTY;
	expect_refused(test, -EINVAL, "only one of them");
	test->config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_DEFAULT;
	expect_ok(test);
	assert_int_equal(test->config->serial->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF);
	test->config->console->mode = (Bulkhead__Config__SerialMode)-1;
	expect_refused(test, -EINVAL, "unknown mode");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(an_empty_configuration_gets_defaults),
		TEST(disks_get_names_and_serial_numbers),
		TEST(parts_that_are_missing_are_an_error_not_a_crash),
		TEST(vcpus_have_limits),
		TEST(memory_has_limits),
		TEST(ids_are_plain_words),
		TEST(no_two_devices_have_one_id),
		TEST(the_default_name_of_a_disk_may_be_taken),
		TEST(queues_of_a_disk_have_limits),
		TEST(there_is_an_end_to_disks),
		TEST(terminals_need_what_they_write_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
