/* SPDX-License-Identifier: Apache-2.0 */
/* bulkheadctl as it is run: its exit statuses and what it prints, with a model of a VM behind it.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/vmm/gateway/fake_core.h"
#include "vmm/ctl/ctl.h"
#include "vmm/ctl/directory_url.h"

#define MESSAGE(name) BULKHEAD__CONTROL__MESSAGE_TYPE__MESSAGE_##name

static char output[65536];

static void take_output(int fd)
{
	size_t used = 0;
	ssize_t got;

	while (used < sizeof(output) - 1 &&
	       (got = read(fd, output + used, sizeof(output) - 1 - used)) > 0)
		used += (size_t)got;
	output[used] = '\0';
}

static const char *program(void)
{
	static char path[512];
	const char *build = getenv("BULKHEAD_BUILD");

	(void)snprintf(path, sizeof(path), "%s/bin/bulkheadctl", build ? build : "build");
	return path;
}

/* Run a shell line in which "ctl" is bulkheadctl; output and errors are in output. */
static int run(struct fake_core *core, const char *line)
{
	char text[2048];
	FILE *stream;
	int status;

	(void)snprintf(text, sizeof(text),
		       "ctl() { %s --socket %s --timeout 2 \"$@\"; }; { %s; } 2>&1", program(),
		       fake_core_path(core, FAKE_HTTP), line);
	stream = popen(text, "r"); /* NOLINT(cert-env33-c): a test's own line */
	assert_non_null(stream);
	take_output(fileno(stream));
	status = pclose(stream);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void create(struct fake_core *core)
{
	assert_int_equal(run(core, "echo '{\"payload\":{\"kernel\":\"/k\"}}' | ctl create -"),
			 CTL_EXIT_OK);
}

static void every_verb_has_help(void **state)
{
	char line[128];

	for (unsigned i = 0; i < ctl_verb_count; i++) {
		(void)snprintf(line, sizeof(line), "ctl %s --help", ctl_verbs[i].name);
		assert_int_equal(run(*state, line), CTL_EXIT_OK);
		assert_non_null(strstr(output, ctl_verbs[i].name));
		assert_non_null(strstr(output, ctl_verbs[i].summary));
	}
	assert_int_equal(run(*state, "ctl --help"), CTL_EXIT_OK);
}

static void simple_verbs_reach_the_core(void **state)
{
	static const struct {
		const char *verb;
		uint16_t type;
	} verbs[] = {
		{"boot", MESSAGE(BOOT)},
		{"pause", MESSAGE(PAUSE)},
		{"resume", MESSAGE(RESUME)},
		{"reboot", MESSAGE(REBOOT)},
		{"power-button", MESSAGE(POWER_BUTTON)},
		{"nmi", MESSAGE(NMI)},
		{"shutdown", MESSAGE(SHUTDOWN)},
		{"snapshot-cancel", MESSAGE(SNAPSHOT_CANCEL)},
		{"delete", MESSAGE(DELETE)},
		{"shutdown-vmm", MESSAGE(VMM_SHUTDOWN)},
	};
	char line[64];

	create(*state);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		(void)snprintf(line, sizeof(line), "ctl %s", verbs[i].verb);
		assert_int_equal(run(*state, line), CTL_EXIT_OK);
		assert_string_equal(output, "");
		assert_int_equal(fake_core_count(*state, verbs[i].type), 1);
	}
}

static void failures_have_statuses_of_their_own(void **state)
{
	assert_int_equal(run(*state, "ctl"), CTL_EXIT_USAGE);
	assert_int_equal(run(*state, "ctl fly"), CTL_EXIT_USAGE);
	assert_int_equal(run(*state, "ctl boot now"), CTL_EXIT_USAGE);
	assert_int_equal(run(*state, "ctl resize-disk root big"), CTL_EXIT_USAGE);
	assert_int_equal(run(*state, "ctl --timeout x ping"), CTL_EXIT_USAGE);
	assert_int_equal(run(*state, "ctl create /nonexistent"), CTL_EXIT_USAGE);
	assert_int_equal(run(*state, "echo '{}' | ctl create -"), CTL_EXIT_USAGE);
	assert_non_null(strstr(output, "bulkheadctl: payload: is missing"));
	assert_int_equal(run(*state, "ctl info"), CTL_EXIT_STATE);
	assert_non_null(strstr(output, "no VM is created"));
	assert_int_equal(run(*state, "ctl --socket /nonexistent ping"), CTL_EXIT_NO_VMM);
	fake_core_refuse(*state, MESSAGE(PING), -EIO, "broken");
	assert_int_equal(run(*state, "ctl ping"), CTL_EXIT_FAILED);
	fake_core_refuse(*state, 0, 0, NULL);
	fake_core_hold(*state, MESSAGE(PING));
	assert_int_equal(run(*state, "ctl --timeout 1 ping"), CTL_EXIT_TIMEOUT);
}

static void the_socket_may_come_from_the_environment(void **state)
{
	char line[1024];

	(void)snprintf(line, sizeof(line), "BULKHEAD_SOCKET=%s %s ping",
		       fake_core_path(*state, FAKE_HTTP), program());
	assert_int_equal(run(*state, line), CTL_EXIT_OK);
	(void)snprintf(line, sizeof(line), "env -u BULKHEAD_SOCKET %s ping", program());
	assert_int_equal(run(*state, line), CTL_EXIT_USAGE);
}

static void answers_are_for_people_or_for_programs(void **state)
{
	create(*state);
	assert_int_equal(run(*state, "ctl info"), CTL_EXIT_OK);
	assert_non_null(strstr(output, "state      Created\n"));
	assert_non_null(strstr(output, "0000:00:01.0"));
	assert_int_equal(run(*state, "ctl --json info"), CTL_EXIT_OK);
	assert_non_null(strstr(output, "\"state\": \"Created\""));
	assert_int_equal(run(*state, "ctl counters"), CTL_EXIT_OK);
	assert_non_null(strstr(output, "disk0.read_bytes"));
	assert_int_equal(run(*state, "ctl ps"), CTL_EXIT_OK);
	assert_non_null(strstr(output, "\ncore "));
	assert_int_equal(run(*state, "ctl snapshot-progress"), CTL_EXIT_OK);
	assert_non_null(strstr(output, "active  3/10 bytes"));
}

static void sizes_may_carry_a_suffix(void **state)
{
	create(*state);
	assert_int_equal(run(*state, "ctl resize-disk disk0 64M"), CTL_EXIT_OK);
	assert_int_equal(run(*state, "ctl resize-disk nodisk 64M"), CTL_EXIT_STATE);
	assert_int_equal(run(*state, "ctl resize-disk disk0 99999999999T"), CTL_EXIT_USAGE);
	assert_int_equal(run(*state, "ctl resize-disk disk0 -- -1"), CTL_EXIT_USAGE);
}

static void restore_understands_its_words(void **state)
{
	assert_int_equal(run(*state, "ctl restore /snap resume ondemand root=/b.img"), CTL_EXIT_OK);
	assert_int_equal(fake_core_count(*state, MESSAGE(RESTORE)), 1);
	assert_int_equal(run(*state, "ctl restore /snap quickly"), CTL_EXIT_USAGE);
	assert_int_equal(fake_core_count(*state, MESSAGE(RESTORE)), 1);
}

static void a_guests_text_is_not_obeyed_by_the_terminal(void **state)
{
	assert_int_equal(run(*state, "echo '{\"payload\":{\"kernel\":\"/k\\u001b[2J\"}}' | ctl "
				     "create - && ctl info"),
			 CTL_EXIT_OK);
	assert_null(strchr(output, 0x1b));
	assert_non_null(strstr(output, "/k\\x1b[2J"));
}

static void a_bar_is_drawn_on_a_terminal(void **state)
{
	char *arguments[] = {(char *)(uintptr_t)program(),
			     (char[]){"-s"},
			     (char *)(uintptr_t)fake_core_path(*state, FAKE_HTTP),
			     (char[]){"snapshot"},
			     (char[]){"/snap"},
			     NULL};
	int master, status;
	pid_t pid;

	create(*state);
	fake_core_hold(*state, MESSAGE(SNAPSHOT));
	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0) {
		(void)execv(program(), arguments);
		_exit(127);
	}
	usleep(400000);
	fake_core_release(*state);
	take_output(master);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(master);
	assert_non_null(strstr(output, "[############............................]  30%"));
}

static void a_directory_becomes_an_absolute_url(void **state)
{
	static const char *const cases[][2] = {
		{"file:///x", "file:///x"},
		{"/srv/one", "file:///srv/one"},
		{"/srv/a b%c", "file:///srv/a%20b%25c"},
		{"/srv/\xc3\xa9", "file:///srv/%C3%A9"},
	};
	char here[4096], expected[4200];
	char *url;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		url = directory_url(cases[i][0]);
		assert_string_equal(url, cases[i][1]);
		free(url);
	}
	assert_non_null(getcwd(here, sizeof(here)));
	(void)snprintf(expected, sizeof(expected), "file://%s/snap", here);
	url = directory_url("snap");
	assert_string_equal(url, expected);
	free(url);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_core_set_up, fake_core_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_verb_has_help),
		TEST(simple_verbs_reach_the_core),
		TEST(failures_have_statuses_of_their_own),
		TEST(the_socket_may_come_from_the_environment),
		TEST(answers_are_for_people_or_for_programs),
		TEST(sizes_may_carry_a_suffix),
		TEST(restore_understands_its_words),
		TEST(a_guests_text_is_not_obeyed_by_the_terminal),
		TEST(a_bar_is_drawn_on_a_terminal),
		cmocka_unit_test(a_directory_becomes_an_absolute_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
