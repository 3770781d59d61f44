/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest printed, and what is typed to it. */
#include "tests/vmm/core/snapshot/vm_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_TIMEOUT_MS 60000

/* Whole lines that fit. */
static unsigned count_lines(struct vm_under_test *test, bool (*fits)(const char *, const char *),
			    const char *text)
{
	FILE *file = fopen(test->serial, "re");
	unsigned count = 0;
	char line[512];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (strchr(line, '\n') && fits(line, text))
			count++;
	(void)fclose(file);
	return count;
}

static bool line_has(const char *line, const char *text)
{
	return strstr(line, text) != NULL;
}

unsigned vm_under_test_count_text(struct vm_under_test *test, const char *text)
{
	return count_lines(test, line_has, text);
}

/* text: not looked at. */
static bool line_is_bad(const char *line, const char *text)
{
	static const char *const counts[] = {" errors=", " bad_pages=", " bad_sectors="};

	(void)text;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		const char *at = strstr(line, counts[i]);

		if (at && strtoull(at + strlen(counts[i]), NULL, 10) != 0)
			return true;
	}
	return strstr(line, "FAIL") != NULL;
}

unsigned vm_under_test_count_bad(struct vm_under_test *test)
{
	return count_lines(test, line_is_bad, NULL);
}

void vm_under_test_assert_good(struct vm_under_test *test)
{
	FILE *file = fopen(test->serial, "re");
	char line[512], before[512] = "";

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (strchr(line, '\n') && line_is_bad(line, NULL)) {
			(void)fclose(file);
			fail_msg("%s%s", before, line);
			return;
		}
		memcpy(before, line, sizeof(before));
	}
	(void)fclose(file);
}

bool vm_under_test_ticks_in_order(struct vm_under_test *test)
{
	static const char tick[] = "TICK ";
	FILE *file = fopen(test->serial, "re");
	unsigned long long last = 0;
	bool good = true;
	char line[512];

	if (!file)
		return true;
	while (good && fgets(line, sizeof(line), file))
		if (strncmp(line, tick, sizeof(tick) - 1) == 0 && strchr(line, '\n')) {
			good = strtoull(line + sizeof(tick) - 1, NULL, 10) == last + 1;
			last++;
		}
	(void)fclose(file);
	return good;
}

bool vm_under_test_last_line(struct vm_under_test *test, const char *text, char *line, size_t bytes)
{
	FILE *file = fopen(test->serial, "re");
	char next[512];
	bool found = false;

	if (!file)
		return false;
	while (fgets(next, sizeof(next), file))
		if (strstr(next, text) && strchr(next, '\n')) {
			next[strcspn(next, "\r\n")] = '\0';
			(void)snprintf(line, bytes, "%s", next);
			found = true;
		}
	(void)fclose(file);
	return found;
}

void vm_under_test_connect_serial(struct vm_under_test *test)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/serial.socket",
		       test->folder);
	test->serial_client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(test->serial_client >= 0);
	assert_int_equal(connect(test->serial_client, (struct sockaddr *)&address, sizeof(address)),
			 0);
}

void vm_under_test_type(struct vm_under_test *test, const char *text)
{
	assert_int_equal(write(test->serial_client, text, strlen(text)), strlen(text));
}

/* Append what has come from the serial port's socket to the file that the others write. */
static void pump_serial(struct vm_under_test *test)
{
	char bytes[4096];
	ssize_t got;
	int fd;

	if (test->serial_client < 0)
		return;
	fd = open(test->serial, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while ((got = read(test->serial_client, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(fd, bytes, (size_t)got), got);
	close(fd);
}

bool vm_under_test_wait_text(struct vm_under_test *test, const char *text, unsigned times)
{
	for (unsigned waited = 0; waited < TEXT_TIMEOUT_MS; waited += 20) {
		pump_serial(test);
		if (vm_under_test_count_text(test, text) > times)
			return true;
		vm_under_test_run_ms(test, 20);
	}
	return false;
}
