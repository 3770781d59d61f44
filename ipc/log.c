/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ipc/log_format.h"

#define LOG_NAME_SIZE 64

/* The one global of a process: written by log_setup() before threads start, then read only but for
 * one counter. */
static struct {
	int fd;
	enum log_level level;
	bool json, relay;
	bool asks_first;       /* whether the fd takes a line */
	_Atomic unsigned lost; /* lines; the one thing that changes */
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
	struct stat status;
	int flags = fcntl(options->fd, F_GETFL);

	logger.fd = options->fd;
	logger.level = options->level;
	logger.json = options->json;
	logger.relay = options->relay;
	logger.asks_first = !(flags >= 0 && (flags & O_NONBLOCK)) &&
			    !(fstat(options->fd, &status) == 0 && S_ISREG(status.st_mode));
	copy_name(logger.vm_name, options->vm_name);
	copy_name(logger.process, options->process);
	copy_name(logger.device, options->device);
}

int log_descriptor(int fd)
{
	char path[32];
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* Files never block; what is non-blocking says so by itself; a socket has room for many lines when
 * it says that it has any. */
static bool would_block(void)
{
	struct pollfd output = {.fd = logger.fd, .events = POLLOUT};

	return logger.asks_first && poll(&output, 1, 0) == 0;
}

/* False: it is lost. */
static bool write_line(const char *line, size_t bytes)
{
	ssize_t written;

	if (would_block())
		return false;
	do
		written = write(logger.fd, line, bytes);
	while (written < 0 && errno == EINTR);
	/* A short write or another error is not reported: there is nowhere to report it. */
	return written >= 0 || errno != EAGAIN;
}

static void write_record(enum log_level level, const char *process, const char *device,
			 const char *text)
{
	struct log_record record = {
		.level = level,
		.vm_name = logger.vm_name,
		.process = process,
		.device = device,
		.text = text,
	};
	char line[LOG_LINE_SIZE];
	size_t bytes;

	clock_gettime(CLOCK_REALTIME, &record.time);
	bytes = logger.json ? log_format_json(&record, line, sizeof(line))
			    : log_format_text(&record, line, sizeof(line));
	if (!write_line(line, bytes))
		atomic_fetch_add(&logger.lost, 1);
}

/* What could not be written before is told of when something can. */
static void tell_lost(void)
{
	unsigned lost = atomic_exchange(&logger.lost, 0);
	char text[64];

	if (!lost)
		return;
	if (would_block()) {
		atomic_fetch_add(&logger.lost, lost);
		return;
	}
	(void)snprintf(text, sizeof(text), "%u lines are missing here: the log was not read", lost);
	write_record(LOG_LEVEL_WARNING, logger.process, logger.device, text);
}

/* To the process that will say whose it is: "LEVEL TEXT" in one piece. */
static void write_relay(enum log_level level, const char *text)
{
	char line[LOG_TEXT_SIZE + 2];
	int length = snprintf(line, sizeof(line), "%d%s", (int)level, text);

	if (length > 0)
		(void)write_line(line,
				 (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

void log_write(enum log_level level, const char *format, ...)
{
	int saved_errno = errno;
	char text[LOG_TEXT_SIZE];
	va_list arguments;

	if (level > logger.level || logger.fd < 0)
		return;
	va_start(arguments, format);
	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		text[0] = '\0';
	va_end(arguments);
	if (logger.relay) {
		write_relay(level, text);
	} else {
		tell_lost();
		write_record(level, logger.process, logger.device, text);
	}
	errno = saved_errno;
}

void log_relayed(const char *process, const char *device, const char *data, size_t bytes)
{
	bool has_level = bytes && data[0] >= '0' && data[0] <= '0' + LOG_LEVEL_DEBUG;
	enum log_level level = has_level ? (enum log_level)(data[0] - '0') : LOG_LEVEL_ERROR;
	char text[LOG_TEXT_SIZE];

	if (level > logger.level || logger.fd < 0)
		return;
	if (has_level) {
		data++;
		bytes--;
	}
	while (bytes && data[bytes - 1] == '\n')
		bytes--;
	if (bytes > sizeof(text) - 1)
		bytes = sizeof(text) - 1;
	memcpy(text, data, bytes);
	text[bytes] = '\0'; /* what follows a zero byte is not shown */
	tell_lost();
	write_record(level, process, device, text);
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
