/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/core/config/command_line.h"

#define MAX_WORDS 24

/* Words up to NULL. */
static int parse(struct command_line *line, struct error *err, const char *const *words)
{
	static char program[] = "bulkhead";
	char *argv[MAX_WORDS + 2] = {program};
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	*err = (struct error)ERROR_INIT;
	return command_line_parse(argc, argv, line, err);
}

#define PARSE(line, err, ...) parse(line, err, (const char *const[]){__VA_ARGS__, NULL})

static void a_whole_vm_is_described(void **state)
{
	struct command_line line;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&line, &err, "--kernel", "/k", "--initramfs=/i", "--cmdline",
			       "console=ttyS0 a=\"b c\"", "--cpus", "boot=2,max=4", "--memory",
			       "size=1G,thp=on", "--disk", "path=/a,readonly=on,id=root",
			       "path=/b,num_queues=4", "--rng", "src=/dev/hwrng", "--console",
			       "pty", "--serial", "file=/s", "--name", "web-1", "-v", "-v"),
			 0);
	assert_true(line.has_vm);
	assert_string_equal(line.config->payload->kernel, "/k");
	assert_string_equal(line.config->payload->cmdline, "console=ttyS0 a=\"b c\"");
	assert_int_equal(line.config->cpus->boot, 2);
	assert_int_equal(line.config->cpus->max, 4);
	assert_true(line.config->memory->size_bytes == 1ULL << 30);
	assert_int_equal(line.config->n_disks, 2);
	assert_true(line.config->disks[0]->read_only);
	assert_int_equal(line.config->disks[1]->num_queues, 4);
	assert_string_equal(line.config->disks[1]->id, "disk1");
	assert_string_equal(line.config->rng->src, "/dev/hwrng");
	assert_int_equal(line.config->console->mode, BULKHEAD__CONFIG__SERIAL_MODE__SERIAL_PTY);
	assert_string_equal(line.config->serial->path, "/s");
	assert_string_equal(line.config->name, "web-1");
	assert_int_equal(line.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(line.seccomp, SANDBOX_SECCOMP_ENFORCE);
	command_line_destroy(&line);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *words[6];
		const char *says;
	} bad[] = {
		{{"--kernel"}, "--kernel"},
		{{"--bogus"}, "--bogus"},
		{{"stray"}, "stray"},
		{{"--kernel", "/k", "stray"}, "stray"},
		{{"--kernel", "/k", "--kernel", "/l"}, "--kernel is given twice"},
		{{"--kernel", "/k", "--cpus", "boot=17"}, "--cpus"},
		{{"--kernel", "/k", "--cpus", "2"}, "key=value"},
		{{"--kernel", "/k", "--memory", "512M"}, "key=value"},
		{{"--kernel", "/k", "--memory", "size=1M"}, "--memory"},
		{{"--kernel", "/k", "--disk", "id=a"}, "path= is missing"},
		{{"--kernel", "/k", "--disk", "path=/a,readonly=maybe"}, "on or off"},
		{{"--kernel", "/k", "--disk", "path=/a", "path=/b,id=disk0"}, "disk0"},
		{{"--kernel", "/k", "--serial", "file="}, "needs a path"},
		{{"--kernel", "/k", "--serial", "socket"}, "write off"},
		{{"--kernel", "/k", "--serial", "tty", "--console", "tty"}, "only one"},
		{{"--kernel", "/k", "--seccomp", "no"}, "--seccomp"},
		{{"--kernel", "/k", "--log-format", "xml"}, "--log-format"},
		{{"--restore", "source_url=/dir"}, "file:///"},
		{{"--restore", "source_url=file://"}, "file:///"},
		{{"--restore", "source_url=file:///d,memory_restore_mode=fast"},
		 "copy or ondemand"},
		{{"--incoming", "tcp:host"}, "file:///"},
		{{"--config", "/c", "--kernel", "/k"}, "--config"},
		{{"--rng", "src=/a", "--rng", "src=/b"}, "--rng is given twice"},
		{{"--memory", "size=1G", "--memory", "size=2G"}, "--memory is given twice"},
		{{"--seccomp", "true", "--seccomp", "false"}, "--seccomp is given twice"},
		{{"--kernel", "/k", "--force"}, "--force is for --restore"},
		{{"--kernel", "/k", "--uid-range", "1000:63"}, "--uid-range 1000:63"},
		{{"--kernel", "/k", "--uid-range", "18446744073709551615:64"}, "--uid-range"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct command_line line;
		struct error err;

		if (parse(&line, &err, bad[i].words) >= 0)
			fail_msg("%s %s … was taken", bad[i].words[0], bad[i].words[1]);
		if (!strstr(err.message, bad[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.message, bad[i].says);
		command_line_destroy(&line);
	}
}

static void qemus_way_to_write_a_restore_is_understood(void **state)
{
	struct command_line line;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&line, &err, "-incoming", "file:/d"), 0);
	assert_string_equal(command_line_url_path("-incoming", line.restore.source_url, &err),
			    "/d");
	command_line_destroy(&line);
}

static void a_value_is_not_taken_for_a_question(void **state)
{
	struct command_line line;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&line, &err, "--kernel", "/k", "--cmdline", "--help"), 0);
	assert_string_equal(line.config->payload->cmdline, "--help");
	command_line_destroy(&line);
	assert_int_equal(PARSE(&line, &err, "--kernel", "/k", "--version"), 1);
	command_line_destroy(&line);
}

static void a_restore_keeps_its_overrides_incomplete(void **state)
{
	struct command_line line;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&line, &err, "--restore",
			       "source_url=file:///d,memory_restore_mode=OnDemand,resume=on",
			       "--disk", "id=root,path=/clone", "--force"),
			 0);
	assert_string_equal(command_line_url_path("--restore", line.restore.source_url, &err),
			    "/d");
	assert_true(line.restore.resume);
	assert_true(line.restore.force);
	assert_int_equal(line.config->n_disks, 1);
	assert_int_equal(line.config->disks[0]->num_queues, 0);
	assert_int_equal(line.config->cpus->boot, 0);
	command_line_destroy(&line);
}

static void without_a_vm_nothing_is_completed(void **state)
{
	struct command_line line;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(&line, &err, "--api-socket", "/run/vm.sock"), 0);
	assert_false(line.has_vm);
	assert_int_equal(line.control.socket_count, 1);
	command_line_destroy(&line);
	assert_int_equal(parse(&line, &err, (const char *const[]){NULL}), 0);
	assert_false(line.has_vm);
	command_line_destroy(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_vm_is_described),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(qemus_way_to_write_a_restore_is_understood),
		cmocka_unit_test(a_value_is_not_taken_for_a_question),
		cmocka_unit_test(a_restore_keeps_its_overrides_incomplete),
		cmocka_unit_test(without_a_vm_nothing_is_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
