/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ipc/log_format.h"

#define LOG_NAME_SIZE 64

/* The one global of a process: written by log_setup() before threads start, then read only. */
static struct {
	int fd;
	enum log_level level;
	bool json;
	char vm_name[LOG_NAME_SIZE];
	char process[LOG_NAME_SIZE];
	char device[LOG_NAME_SIZE];
} logger = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO, .process = "bulkhead"};

static void copy_name(char *to, const char *from)
{
	(void)snprintf(to, LOG_NAME_SIZE, "%s", from ? from : "");
}

void log_setup(const struct log_options *options)
{
	logger.fd = options->fd;
	logger.level = options->level;
	logger.json = options->json;
	copy_name(logger.vm_name, options->vm_name);
	copy_name(logger.process, options->process);
	copy_name(logger.device, options->device);
}

static void write_line(const char *line, size_t bytes)
{
	ssize_t written;

	/* A short write or an error is not reported: there is nowhere to report it. */
	do
		written = write(logger.fd, line, bytes);
	while (written < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *format, ...)
{
	int saved_errno = errno;
	char text[LOG_TEXT_SIZE];
	char line[LOG_LINE_SIZE];
	struct log_record record;
	va_list arguments;

	if (level > logger.level || logger.fd < 0)
		return;
	va_start(arguments, format);
	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		text[0] = '\0';
	va_end(arguments);
	record = (struct log_record){
		.level = level,
		.vm_name = logger.vm_name,
		.process = logger.process,
		.device = logger.device,
		.text = text,
	};
	clock_gettime(CLOCK_REALTIME, &record.time);
	write_line(line, logger.json ? log_format_json(&record, line, sizeof(line))
				     : log_format_text(&record, line, sizeof(line)));
	errno = saved_errno;
}

bool log_ratelimit_allow(struct log_ratelimit *limit, uint32_t *suppressed)
{
	struct timespec now;
	uint64_t now_ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (limit->last_ms == 0)
		limit->last_ms = now_ms;
	if (limit->interval_ms > 0) {
		uint64_t earned = (now_ms - limit->last_ms) / limit->interval_ms;
		uint64_t room = limit->burst > limit->tokens ? limit->burst - limit->tokens : 0;

		limit->tokens += (uint32_t)(earned < room ? earned : room);
		limit->last_ms += earned * limit->interval_ms;
	}
	if (limit->tokens == 0) {
		limit->suppressed++;
		return false;
	}
	limit->tokens--;
	if (suppressed)
		*suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}
