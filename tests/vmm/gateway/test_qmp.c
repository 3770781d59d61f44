/* SPDX-License-Identifier: Apache-2.0 */
/* QMP as its clients speak it, against the real gateway in its sandbox. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/vmm/gateway/fake_core.h"
#include "tests/vmm/gateway/raw_client.h"

#define MESSAGE(name) BULKHEAD__CONTROL__MESSAGE_TYPE__MESSAGE_##name
#define CONFIG                                                                                     \
	"{\"name\":\"web\",\"payload\":{\"kernel\":\"/"                                            \
	"k\"},\"cpus\":{\"boot_vcpus\":2,\"max_vcpus\":2},"                                        \
	"\"disks\":[{\"path\":\"/a.img\",\"id\":\"disk0\",\"readonly\":true}]}"

static char line[200000];

static const char *next_line(int fd)
{
	assert_int_equal(client_line(fd, line, sizeof(line), CLIENT_TIMEOUT_MS), 1);
	return line;
}

/* Connected, greeting read. */
static int qmp(struct fake_core *core, enum fake_socket socket)
{
	int fd = client_connect(fake_core_path(core, socket));

	assert_true(fd >= 0);
	assert_non_null(strstr(next_line(fd), "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,"
					      "\"minor\":0,\"major\":"));
	assert_non_null(strstr(line, "\"capabilities\":[]}}"));
	return fd;
}

static const char *ask(int fd, const char *text)
{
	assert_true(client_send(fd, text));
	assert_true(client_send(fd, "\r\n"));
	return next_line(fd);
}

static int negotiated(struct fake_core *core)
{
	int fd = qmp(core, FAKE_QMP);

	assert_string_equal(ask(fd, "{\"execute\":\"qmp_capabilities\"}"), "{\"return\":{}}");
	return fd;
}

static void create(struct fake_core *core)
{
	char response[4096];

	assert_int_equal(client_request(fake_core_path(core, FAKE_HTTP), "PUT", "vm.create", CONFIG,
					response, sizeof(response)),
			 204);
}

static void before_negotiation_no_command_is_found(void **state)
{
	int fd = qmp(*state, FAKE_QMP);

	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-status\",\"id\":7}"),
			       "\"class\":\"CommandNotFound\""));
	assert_non_null(strstr(line, "\"id\":7"));
	close(fd);
}

static void negotiation_happens_once(void **state)
{
	int fd = negotiated(*state);

	assert_non_null(strstr(ask(fd, "{\"execute\":\"qmp_capabilities\"}"),
			       "\"class\":\"CommandNotFound\""));
	close(fd);
}

static void no_capability_can_be_enabled(void **state)
{
	int fd = qmp(*state, FAKE_QMP);

	assert_non_null(strstr(ask(fd, "{\"execute\":\"qmp_capabilities\",\"arguments\":"
				       "{\"enable\":[\"oob\"]}}"),
			       "GenericError"));
	assert_string_equal(ask(fd, "{\"execute\":\"qmp_capabilities\",\"arguments\":"
				    "{\"enable\":[]}}"),
			    "{\"return\":{}}");
	close(fd);
}

static void a_socket_may_do_without_negotiation(void **state)
{
	int fd = qmp(*state, FAKE_QMP_NO_NEGOTIATION);

	assert_string_equal(ask(fd, "{\"execute\":\"query-name\"}"),
			    "{\"return\":{\"name\":\"testvm\"}}");
	close(fd);
}

static void any_id_is_echoed(void **state)
{
	static const char *const ids[] = {"1", "\"x\"", "null", "[1,{\"a\":2}]", "{\"k\":1.5}"};
	int fd = negotiated(*state);

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		char text[256], expected[256];

		(void)snprintf(text, sizeof(text), "{\"execute\":\"query-name\",\"id\":%s}",
			       ids[i]);
		(void)snprintf(expected, sizeof(expected),
			       "{\"return\":{\"name\":\"testvm\"},\"id\":%s}", ids[i]);
		assert_string_equal(ask(fd, text), expected);
	}
	close(fd);
}

static void empty_arguments_are_accepted_everywhere_and_others_are_not(void **state)
{
	int fd = negotiated(*state);

	create(*state);
	/* The name is now that of the VM that was created. */
	assert_string_equal(ask(fd, "{\"execute\":\"query-name\",\"arguments\":{}}"),
			    "{\"return\":{\"name\":\"web\"}}");
	assert_non_null(strstr(ask(fd, "{\"execute\":\"stop\",\"arguments\":{\"now\":true}}"),
			       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"now: "));
	assert_int_equal(fake_core_count(*state, MESSAGE(PAUSE)), 0);
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-name\",\"arguments\":{\"a\":1}}"),
			       "a: unknown argument"));
	close(fd);
}

static void what_is_no_command_is_an_error_and_the_next_one_works(void **state)
{
	static const char *const texts[] = {
		"{\"execute\":\"query-name\"",
		"{\"execute\": }",
		"[1]",
		"\"text\"",
		"{}",
		"{\"execute\":5}",
		"{\"execute\":\"query-name\",\"arguments\":[]}",
		"{\"execute\":\"query-name\",\"extra\":1}",
		"{\"execute\":\"query-name\",\"execute\":\"stop\"}",
		"{\"execute\":\"\xff\xfe\"}",
		"{\"execute\":\"query\\u0000name\"}",
		"{\"execute\":\"a\",\"id\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}",
		"nonsense",
	};
	int fd = negotiated(*state);

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		assert_non_null(strstr(ask(fd, texts[i]), "\"class\":\"GenericError\""));
		assert_non_null(strstr(ask(fd, "{\"execute\":\"query-name\"}"), "testvm"));
	}
	close(fd);
}

static void an_unknown_command_is_not_found(void **state)
{
	int fd = negotiated(*state);

	assert_non_null(strstr(ask(fd, "{\"execute\":\"device_add\",\"id\":\"i\"}"),
			       "\"class\":\"CommandNotFound\""));
	assert_non_null(strstr(line, "\"id\":\"i\""));
	close(fd);
}

static void a_document_that_is_too_long_ends_the_connection(void **state)
{
	static char text[70000];
	int fd = negotiated(*state);

	memset(text, ' ', sizeof(text) - 1);
	text[0] = '{';
	(void)client_send(fd, text);
	assert_non_null(strstr(next_line(fd), "longer than"));
	assert_true(client_is_closed(fd, 3000));
	close(fd);
}

static void pipelined_commands_are_answered_in_order(void **state)
{
	int fd = negotiated(*state);

	create(*state);
	fake_core_hold(*state, MESSAGE(INFO));
	assert_true(client_send(fd, "{\"execute\":\"query-status\",\"id\":1}\r\n"
				    "{\"execute\":\"query-name\",\"id\":2}"
				    "{\"execute\":\"query-name\",\"id\":3}\n\n"
				    "{\"execute\":\"query-cpus-fast\",\"id\":4}\n"));
	while (!fake_core_held(*state))
		usleep(1000);
	assert_int_equal(client_line(fd, line, sizeof(line), 100), -1);
	fake_core_release(*state);
	for (int i = 1; i <= 4; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "\"id\":%d}", i);
		assert_non_null(strstr(next_line(fd), id));
	}
	close(fd);
}

static void a_client_need_not_end_its_lines(void **state)
{
	int fd = negotiated(*state);

	assert_true(client_send(fd, "{\"execute\":\"query-name\"}"));
	assert_non_null(strstr(next_line(fd), "testvm"));
	close(fd);
}

static void queries_return_what_qemu_says(void **state)
{
	int fd = negotiated(*state);

	assert_string_equal(
		ask(fd, "{\"execute\":\"query-status\"}"),
		"{\"return\":{\"status\":\"prelaunch\",\"running\":false,\"singlestep\":false}}");
	create(*state);
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-status\"}"), "prelaunch"));
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-cpus-fast\"}"),
			       "\"cpu-index\":1,\"qom-path\":"));
	assert_non_null(strstr(line, "\"thread-id\":102"));
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-block\"}"), "\"device\":\"disk0\""));
	assert_non_null(strstr(line, "\"file\":\"/a.img\""));
	assert_non_null(strstr(line, "\"ro\":true"));
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-version\"}"), "\"major\":"));
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-commands\"}"),
			       "{\"name\":\"system_powerdown\"}"));
	assert_non_null(strstr(line, "{\"name\":\"qmp_capabilities\"}"));
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-events\"}"), "{\"name\":\"STOP\"}"));
	close(fd);
}

static void commands_reach_the_core(void **state)
{
	static const struct {
		const char *name;
		uint16_t type;
	} commands[] = {
		{"stop", MESSAGE(PAUSE)},
		{"cont", MESSAGE(RESUME)},
		{"system_powerdown", MESSAGE(POWER_BUTTON)},
		{"system_reset", MESSAGE(REBOOT)},
		{"inject-nmi", MESSAGE(NMI)},
		{"migrate_cancel", MESSAGE(SNAPSHOT_CANCEL)},
		{"quit", MESSAGE(VMM_SHUTDOWN)},
	};
	int fd = negotiated(*state);
	char response[4096], text[128];

	create(*state);
	assert_int_equal(client_request(fake_core_path(*state, FAKE_HTTP), "PUT", "vm.boot", NULL,
					response, sizeof(response)),
			 204);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		(void)snprintf(text, sizeof(text), "{\"execute\":\"%s\"}", commands[i].name);
		assert_string_equal(ask(fd, text), "{\"return\":{}}");
		assert_int_equal(fake_core_count(*state, commands[i].type), 1);
	}
	close(fd);
}

static void a_snapshot_is_migration_to_a_file(void **state)
{
	int fd = negotiated(*state);

	create(*state);
	assert_non_null(strstr(ask(fd, "{\"execute\":\"migrate\",\"arguments\":"
				       "{\"uri\":\"tcp:0:4444\"}}"),
			       "uri: only file"));
	assert_non_null(strstr(ask(fd, "{\"execute\":\"migrate\",\"arguments\":"
				       "{\"uri\":\"file:relative\"}}"),
			       "uri: must be an absolute path"));
	assert_int_equal(fake_core_count(*state, MESSAGE(SNAPSHOT)), 0);
	assert_string_equal(ask(fd, "{\"execute\":\"migrate\",\"arguments\":"
				    "{\"uri\":\"file:/snapshots/one\"}}"),
			    "{\"return\":{}}");
	assert_non_null(strstr(ask(fd, "{\"execute\":\"query-migrate\"}"),
			       "{\"return\":{\"status\":\"active\",\"total-time\":"));
	assert_non_null(strstr(line, "\"transferred\":3,\"remaining\":7,\"total\":10"));
	close(fd);
}

static void a_device_that_is_not_there_has_its_own_class(void **state)
{
	int fd = negotiated(*state);

	create(*state);
	assert_non_null(strstr(ask(fd, "{\"execute\":\"block_resize\",\"arguments\":"
				       "{\"device\":\"none\",\"size\":4096}}"),
			       "\"class\":\"DeviceNotFound\""));
	assert_string_equal(ask(fd, "{\"execute\":\"block_resize\",\"arguments\":"
				    "{\"device\":\"disk0\",\"size\":4096}}"),
			    "{\"return\":{}}");
	close(fd);
}

static void events_come_after_negotiation_only(void **state)
{
	int early = qmp(*state, FAKE_QMP);
	int fd = negotiated(*state);

	fake_core_event(*state, BULKHEAD__CONTROL__EVENT_KIND__EVENT_STOP, "vm", "paused");
	fake_core_event(*state, BULKHEAD__CONTROL__EVENT_KIND__EVENT_OTHER, "vm", "booted");
	fake_core_event(*state, BULKHEAD__CONTROL__EVENT_KIND__EVENT_SHUTDOWN, "vm", "shutdown");
	assert_string_equal(next_line(fd), "{\"timestamp\":{\"seconds\":1700000000,"
					   "\"microseconds\":5},\"event\":\"STOP\"}");
	assert_string_equal(next_line(fd),
			    "{\"timestamp\":{\"seconds\":1700000000,\"microseconds\":5},"
			    "\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,"
			    "\"reason\":\"guest-shutdown\"}}");
	assert_int_equal(client_line(early, line, sizeof(line), 100), -1);
	close(fd);
	close(early);
}

static void a_fifth_client_is_let_go(void **state)
{
	int fds[5];

	for (int i = 0; i < 4; i++)
		fds[i] = qmp(*state, FAKE_QMP);
	fds[4] = client_connect(fake_core_path(*state, FAKE_QMP));
	assert_true(client_is_closed(fds[4], 2000));
	for (int i = 0; i < 5; i++)
		close(fds[i]);
}

static void a_half_closed_client_gets_its_answers(void **state)
{
	int fd = qmp(*state, FAKE_QMP);

	assert_true(client_send(
		fd, "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-name\"}\n"));
	shutdown(fd, SHUT_WR);
	assert_string_equal(next_line(fd), "{\"return\":{}}");
	assert_non_null(strstr(next_line(fd), "testvm"));
	assert_true(client_is_closed(fd, 1000));
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_core_set_up, fake_core_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(before_negotiation_no_command_is_found),
		TEST(negotiation_happens_once),
		TEST(no_capability_can_be_enabled),
		TEST(a_socket_may_do_without_negotiation),
		TEST(any_id_is_echoed),
		TEST(empty_arguments_are_accepted_everywhere_and_others_are_not),
		TEST(what_is_no_command_is_an_error_and_the_next_one_works),
		TEST(an_unknown_command_is_not_found),
		TEST(a_document_that_is_too_long_ends_the_connection),
		TEST(pipelined_commands_are_answered_in_order),
		TEST(a_client_need_not_end_its_lines),
		TEST(queries_return_what_qemu_says),
		TEST(commands_reach_the_core),
		TEST(a_snapshot_is_migration_to_a_file),
		TEST(a_device_that_is_not_there_has_its_own_class),
		TEST(events_come_after_negotiation_only),
		TEST(a_fifth_client_is_let_go),
		TEST(a_half_closed_client_gets_its_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
