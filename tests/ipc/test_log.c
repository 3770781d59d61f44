/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "ipc/log_format.h"

static const struct log_record record = {
	.time = {.tv_sec = 1769860800, .tv_nsec = 123456789},
	.level = LOG_LEVEL_WARNING,
	.vm_name = "vm1",
	.process = "core",
	.device = "blk0",
	.text = "line\none \"quoted\"",
};

static void a_line_says_when_where_and_what(void **state)
{
	char line[LOG_LINE_SIZE];
	size_t length = log_format_text(&record, line, sizeof(line));

	(void)state;
	assert_int_equal(length, strlen(line));
	assert_string_equal(line, "2026-01-31T12:00:00.123456Z vm1 core[blk0] warning: "
				  "line\\x0aone \"quoted\"\n");
}

static void a_json_line_is_one_object(void **state)
{
	char line[LOG_LINE_SIZE];

	(void)state;
	log_format_json(&record, line, sizeof(line));
	assert_string_equal(line, "{\"time\":\"2026-01-31T12:00:00.123456Z\",\"level\":\"warning\","
				  "\"vm\":\"vm1\",\"process\":\"core\",\"device\":\"blk0\","
				  "\"text\":\"line\\u000aone \\\"quoted\\\"\"}\n");
}

static void absent_names_leave_no_gap(void **state)
{
	struct log_record bare = record;
	char line[LOG_LINE_SIZE];

	(void)state;
	bare.vm_name = bare.device = "";
	bare.text = "text";
	log_format_text(&bare, line, sizeof(line));
	assert_string_equal(line, "2026-01-31T12:00:00.123456Z core warning: text\n");
}

static void dates_are_right_around_leap_days(void **state)
{
	static const struct {
		time_t second;
		const char *text;
	} dates[] = {
		{0, "1970-01-01T00:00:00.000000Z"},
		{951782399, "2000-02-28T23:59:59.000000Z"},
		{951782400, "2000-02-29T00:00:00.000000Z"},
		{1709164800, "2024-02-29T00:00:00.000000Z"},
		{1735689599, "2024-12-31T23:59:59.000000Z"},
		{4107542400, "2100-03-01T00:00:00.000000Z"},
	};
	char text[LOG_TIMESTAMP_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		struct timespec time = {.tv_sec = dates[i].second};

		log_format_timestamp(&time, text);
		assert_string_equal(text, dates[i].text);
	}
}

static void valid_utf8_passes_and_everything_else_is_escaped(void **state)
{
	char text[64];

	(void)state;
	log_escape(text, sizeof(text), "gr\xc3\xbc\xc3\x9f \xe2\x82\xac", false);
	assert_string_equal(text, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
	log_escape(text, sizeof(text), "\x1b[2J\x7f", false); /* terminal control */
	assert_string_equal(text, "\\x1b[2J\\x7f");
	log_escape(text, sizeof(text), "\xc2\x9b", false); /* C1 control */
	assert_string_equal(text, "\\xc2\\x9b");
	log_escape(text, sizeof(text), "\xc0\xaf", false); /* overlong */
	assert_string_equal(text, "\\xc0\\xaf");
	log_escape(text, sizeof(text), "\xed\xa0\x80", false); /* surrogate */
	assert_string_equal(text, "\\xed\\xa0\\x80");
	log_escape(text, sizeof(text), "\xe2\x82", true); /* cut off */
	assert_string_equal(text, "\\u00e2\\u0082");
}

static void a_line_that_is_too_long_still_ends_well(void **state)
{
	struct log_record long_record = record;
	char text[200], line[128];
	size_t length;

	(void)state;
	memset(text, '\1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	long_record.text = text;
	length = log_format_text(&long_record, line, sizeof(line));
	assert_true(length < sizeof(line));
	assert_int_equal(line[length - 1], '\n');
	long_record.vm_name = "";
	length = log_format_json(&long_record, line, sizeof(line));
	assert_true(length < sizeof(line));
	assert_string_equal(line + length - 3, "\"}\n");
}

/* Log into a pipe; returns what was written. */
static size_t capture(enum log_level limit, enum log_level level, char *buffer, size_t capacity)
{
	int fds[2];
	ssize_t length;

	assert_int_equal(pipe(fds), 0);
	log_setup(&(struct log_options){
		.fd = fds[1], .level = limit, .process = "test", .device = "rng0"});
	errno = ENOENT;
	log_write(level, "a %s", "message");
	assert_int_equal(errno, ENOENT);
	close(fds[1]);
	length = read(fds[0], buffer, capacity - 1);
	close(fds[0]);
	log_setup(&(struct log_options){.fd = -1});
	assert_true(length >= 0);
	buffer[length] = '\0';
	return (size_t)length;
}

static void a_message_is_written_to_the_descriptor_and_errno_is_kept(void **state)
{
	char line[LOG_LINE_SIZE];

	(void)state;
	assert_true(capture(LOG_LEVEL_INFO, LOG_LEVEL_INFO, line, sizeof(line)) > 0);
	assert_string_equal(line + strlen("2026-01-31T12:00:00.123456Z "),
			    "test[rng0] info: a message\n");
}

static void messages_above_the_level_are_dropped(void **state)
{
	char line[LOG_LINE_SIZE];

	(void)state;
	assert_int_equal(capture(LOG_LEVEL_WARNING, LOG_LEVEL_INFO, line, sizeof(line)), 0);
}

/* Fill the pipe with lines, read them all, write one more: what was lost is told. */
static void nobody_waits_for_a_log_that_is_not_read(const int fds[2], int log_fd)
{
	static char all[1 << 20];
	size_t used = 0;
	ssize_t got;

	log_setup(&(struct log_options){.fd = log_fd, .level = LOG_LEVEL_INFO, .process = "test"});
	for (unsigned i = 0; i < 4000; i++)
		log_write(LOG_LEVEL_INFO, "line %u, and some more to fill the pipe with", i);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while ((got = read(fds[0], all + used, sizeof(all) - 1 - used)) > 0)
		used += (size_t)got;
	all[used] = '\0';
	assert_non_null(strstr(all, "info: line 0, "));
	assert_null(strstr(all, "info: line 3999, "));
	log_write(LOG_LEVEL_INFO, "the last");
	got = read(fds[0], all, sizeof(all) - 1);
	assert_true(got > 0);
	all[got] = '\0';
	assert_non_null(strstr(all, "lines are missing here: the log was not read"));
	assert_non_null(strstr(all, "info: the last\n"));
	log_setup(&(struct log_options){.fd = -1});
}

static void a_pipe_of_our_own_does_not_block(void **state)
{
	int fds[2], own;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	own = log_descriptor(fds[1]);
	assert_true(own >= 0);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0); /* the others' is as it was */
	assert_int_equal(fcntl(own, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	nobody_waits_for_a_log_that_is_not_read(fds, own);
	close(own);
	close(fds[0]);
	close(fds[1]);
}

static void a_pipe_that_blocks_is_asked_first(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	nobody_waits_for_a_log_that_is_not_read(fds, fds[1]);
	close(fds[0]);
	close(fds[1]);
}

/* What came through a pipe, as it is written then. */
static void relay(const char *data, size_t bytes, char *line, size_t capacity)
{
	int fds[2];
	ssize_t length;

	assert_int_equal(pipe(fds), 0);
	log_setup(&(struct log_options){
		.fd = fds[1], .level = LOG_LEVEL_INFO, .vm_name = "vm1", .process = "broker"});
	log_relayed("blk", "root", data, bytes);
	close(fds[1]);
	length = read(fds[0], line, capacity - 1);
	close(fds[0]);
	log_setup(&(struct log_options){.fd = -1});
	assert_true(length >= 0);
	line[length] = '\0';
}

static void a_relayed_line_is_its_senders_whatever_it_says(void **state)
{
	static const size_t stamp = sizeof("2026-01-31T12:00:00.123456Z ") - 1;
	static const char lie[] = "x\n2026-01-31T12:00:00.123456Z vm1 core error: forged";
	static char many[4096];
	char line[LOG_LINE_SIZE];

	(void)state;
	relay("1a text", 7, line, sizeof(line));
	assert_string_equal(line + stamp, "vm1 blk[root] warning: a text\n");
	relay("3too fine", 9, line, sizeof(line));
	assert_string_equal(line, "");
	relay("*** stack smashing detected ***\n", 32, line, sizeof(line));
	assert_string_equal(line + stamp, "vm1 blk[root] error: *** stack smashing detected ***\n");
	relay(lie, sizeof(lie) - 1, line, sizeof(line));
	assert_ptr_equal(strstr(line, "vm1 blk[root] error: x\\x0a2026"), line + stamp);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	relay("", 0, line, sizeof(line));
	assert_string_equal(line + stamp, "vm1 blk[root] error: \n");
	memset(many, '0', sizeof(many));
	relay(many, sizeof(many), line, sizeof(line));
	assert_ptr_equal(strstr(line, "vm1 blk[root] error: 000"), line + stamp);
	assert_int_equal(strlen(line),
			 stamp + strlen("vm1 blk[root] error: \n") + LOG_TEXT_SIZE - 1);
}

static void a_process_that_relays_sends_level_and_text(void **state)
{
	char line[64];
	int fds[2];
	ssize_t length;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_setup(&(struct log_options){
		.fd = fds[1], .level = LOG_LEVEL_INFO, .relay = true, .process = "rng"});
	log_write(LOG_LEVEL_WARNING, "a %s", "message");
	length = read(fds[0], line, sizeof(line));
	assert_int_equal(length, strlen("1a message"));
	assert_memory_equal(line, "1a message", (size_t)length);
	log_setup(&(struct log_options){.fd = -1});
	close(fds[0]);
	close(fds[1]);
}

static void a_rate_limit_lets_a_burst_through_and_counts_the_rest(void **state)
{
	struct log_ratelimit limit = {.burst = 2, .interval_ms = 3600000, .tokens = 2};
	uint32_t suppressed = 99;

	(void)state;
	assert_true(log_ratelimit_allow(&limit, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_true(log_ratelimit_allow(&limit, NULL));
	assert_false(log_ratelimit_allow(&limit, &suppressed));
	assert_false(log_ratelimit_allow(&limit, &suppressed));
	limit.last_ms -= 3600000 < limit.last_ms ? 3600000 : limit.last_ms - 1;
	limit.interval_ms = 1; /* a token has been earned since */
	assert_true(log_ratelimit_allow(&limit, &suppressed));
	assert_int_equal(suppressed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_when_where_and_what),
		cmocka_unit_test(a_json_line_is_one_object),
		cmocka_unit_test(absent_names_leave_no_gap),
		cmocka_unit_test(dates_are_right_around_leap_days),
		cmocka_unit_test(valid_utf8_passes_and_everything_else_is_escaped),
		cmocka_unit_test(a_line_that_is_too_long_still_ends_well),
		cmocka_unit_test(a_message_is_written_to_the_descriptor_and_errno_is_kept),
		cmocka_unit_test(messages_above_the_level_are_dropped),
		cmocka_unit_test(a_pipe_of_our_own_does_not_block),
		cmocka_unit_test(a_pipe_that_blocks_is_asked_first),
		cmocka_unit_test(a_relayed_line_is_its_senders_whatever_it_says),
		cmocka_unit_test(a_process_that_relays_sends_level_and_text),
		cmocka_unit_test(a_rate_limit_lets_a_burst_through_and_counts_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
