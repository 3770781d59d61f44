/* SPDX-License-Identifier: Apache-2.0 */
/* What may differ from the snapshot, and what may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/core/config/option_string.h"
#include "vmm/core/config/overrides.h"
#include "vmm/core/config/vm_config.h"

typedef Bulkhead__Config__Vm Config;

struct overrides_test {
	Config *config, *overrides;
	struct error err;
};

static void set_text(char **field, const char *text)
{
	assert_int_equal(option_set_string(field, text, strlen(text)), 0);
}

static int setup(void **state)
{
	static struct overrides_test test;
	Bulkhead__Config__Disk *disk;

	test = (struct overrides_test){.config = vm_config_new(), .overrides = vm_config_new()};
	set_text(&test.config->payload->kernel, "/kernel");
	disk = vm_config_add_disk(test.config);
	set_text(&disk->id, "root");
	set_text(&disk->path, "/root.img");
	disk = vm_config_add_disk(test.config);
	set_text(&disk->id, "base");
	set_text(&disk->path, "/base.img");
	disk->read_only = true;
	vm_config_console(test.config)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	test.config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	assert_int_equal(vm_config_complete(test.config, &test.err), 0);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct overrides_test *test = *state;

	vm_config_free(test->config);
	vm_config_free(test->overrides);
	return 0;
}

static Bulkhead__Config__Disk *override_disk(struct overrides_test *test, const char *id,
					     const char *path)
{
	Bulkhead__Config__Disk *disk = vm_config_add_disk(test->overrides);

	set_text(&disk->id, id);
	set_text(&disk->path, path);
	return disk;
}

static void apply(struct overrides_test *test)
{
	if (vm_config_apply_overrides(test->config, test->overrides, &test->err) != 0)
		fail_msg("%s", test->err.message);
}

static void assert_refused(struct overrides_test *test, const char *name)
{
	if (vm_config_apply_overrides(test->config, test->overrides, &test->err) == 0)
		fail_msg("%s was taken", name);
	if (!strstr(test->err.message, name))
		fail_msg("\"%s\" does not name %s", test->err.message, name);
}

static void nothing_changes_nothing(void **state)
{
	struct overrides_test *test = *state;
	Config *before = vm_config_copy(test->config);
	uint8_t one[4096], other[4096];
	size_t bytes;

	apply(test);
	bytes = bulkhead__config__vm__pack(before, one);
	assert_int_equal(bulkhead__config__vm__pack(test->config, other), bytes);
	assert_memory_equal(one, other, bytes);
	vm_config_free(before);
}

static void a_disk_is_found_by_its_id(void **state)
{
	struct overrides_test *test = *state;

	override_disk(test, "base", "/clone-base.img");
	apply(test);
	assert_string_equal(test->config->disks[0]->path, "/root.img");
	assert_string_equal(test->config->disks[1]->path, "/clone-base.img");
	assert_true(test->config->disks[1]->read_only);
	assert_int_equal(test->config->n_disks, 2);
}

static void serial_console_and_name_follow(void **state)
{
	struct overrides_test *test = *state;

	test->overrides->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	set_text(&test->overrides->serial->path, "/serial.log");
	vm_config_console(test->overrides)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET;
	set_text(&test->overrides->console->path, "/console.sock");
	set_text(&test->overrides->name, "clone-7");
	apply(test);
	assert_int_equal(test->config->serial->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE);
	assert_string_equal(test->config->serial->path, "/serial.log");
	assert_int_equal(test->config->console->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET);
	assert_string_equal(test->config->console->path, "/console.sock");
	assert_string_equal(test->config->name, "clone-7");
}

static void a_disk_that_the_snapshot_lacks_is_refused(void **state)
{
	override_disk(*state, "data", "/data.img");
	assert_refused(*state, "\"data\"");
}

static void a_disk_without_an_id_is_refused(void **state)
{
	override_disk(*state, "", "/data.img");
	assert_refused(*state, "id=");
}

static void a_disk_that_is_written_cannot_become_read_only(void **state)
{
	override_disk(*state, "root", "/root.img")->read_only = true;
	assert_refused(*state, "id=root");
}

static void the_shape_of_a_disk_is_the_snapshots(void **state)
{
	struct overrides_test *test = *state;
	Bulkhead__Config__Disk *disk = override_disk(test, "root", "/root.img");

	disk->num_queues = 2;
	assert_refused(test, "id=root");
	disk->num_queues = 0;
	disk->queue_size = 128;
	assert_refused(test, "id=root");
	disk->queue_size = 0;
	set_text(&disk->serial, "other");
	assert_refused(test, "id=root");
}

static void what_makes_the_machine_is_the_snapshots(void **state)
{
	struct overrides_test *test = *state;

	test->overrides->cpus->boot = 2;
	assert_refused(test, "--cpus");
	test->overrides->cpus->boot = 0;
	test->overrides->memory->size_bytes = 1 << 30;
	assert_refused(test, "--memory");
	test->overrides->memory->size_bytes = 0;
	set_text(&test->overrides->payload->kernel, "/other");
	assert_refused(test, "--kernel");
	set_text(&test->overrides->payload->kernel, "");
	set_text(&test->overrides->payload->cmdline, "quiet");
	assert_refused(test, "--cmdline");
	set_text(&test->overrides->payload->cmdline, "");
	set_text(&test->overrides->payload->initramfs, "/other");
	assert_refused(test, "--initramfs");
	set_text(&test->overrides->payload->initramfs, "");
	(void)vm_config_rng(test->overrides);
	assert_refused(test, "--rng");
}

/* As bulkheadctl sends it. */
static void a_path_alone_is_a_file(void **state)
{
	struct overrides_test *test = *state;

	set_text(&test->overrides->serial->path, "/serial.txt");
	set_text(&vm_config_console(test->overrides)->path, "/console.txt");
	apply(test);
	assert_int_equal(test->config->serial->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE);
	assert_string_equal(test->config->serial->path, "/serial.txt");
	assert_int_equal(test->config->console->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE);
	assert_string_equal(test->config->console->path, "/console.txt");
}

static void a_path_alone_stays_a_socket(void **state)
{
	struct overrides_test *test = *state;

	test->config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET;
	set_text(&test->config->serial->path, "/old.sock");
	set_text(&test->overrides->serial->path, "/new.sock");
	apply(test);
	assert_int_equal(test->config->serial->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_SOCKET);
	assert_string_equal(test->config->serial->path, "/new.sock");
}

static void a_serial_port_neither_comes_nor_goes(void **state)
{
	struct overrides_test *test = *state;

	test->overrides->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
	assert_refused(test, "--serial off");
	test->config->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
	test->overrides->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	assert_refused(test, "no serial port");
}

static void a_console_neither_comes_nor_goes(void **state)
{
	struct overrides_test *test = *state;

	vm_config_console(test->overrides)->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
	assert_refused(test, "--console");
	test->config->console->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_OFF;
	test->overrides->console->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_NULL;
	assert_refused(test, "--console");
}

static void a_target_without_its_path_is_refused(void **state)
{
	struct overrides_test *test = *state;

	test->overrides->serial->mode = BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_FILE;
	assert_refused(test, "--serial");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_changes_nothing),
		TEST(a_disk_is_found_by_its_id),
		TEST(serial_console_and_name_follow),
		TEST(a_disk_that_the_snapshot_lacks_is_refused),
		TEST(a_disk_without_an_id_is_refused),
		TEST(a_disk_that_is_written_cannot_become_read_only),
		TEST(the_shape_of_a_disk_is_the_snapshots),
		TEST(what_makes_the_machine_is_the_snapshots),
		TEST(a_path_alone_is_a_file),
		TEST(a_path_alone_stays_a_socket),
		TEST(a_serial_port_neither_comes_nor_goes),
		TEST(a_console_neither_comes_nor_goes),
		TEST(a_target_without_its_path_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
