/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging for every process. One line an event, to one fd that was opened before the sandbox
 * closed:
 *
 *   2026-01-31T12:00:00.123456Z vm1 core[blk0] warning: text
 *
 * or one JSON object a line. A line is formatted in a stack buffer and written with one write(2),
 * so that processes that share the fd do not mix lines. Nobody waits for a log that is not read:
 * lines are lost then, and counted. The logger is the process's only global state; it is set up
 * once, before threads start. Usable from every thread, not from a signal handler.
 *
 * A process that is not trusted with the log has a pipe to the one that started it instead: it
 * sends level and text (`relay`), and that one says whose line it is (log_relayed()).
 */
#ifndef BULKHEAD_IPC_LOG_H
#define BULKHEAD_IPC_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

struct log_options {
	int fd;		      /* where lines go, borrowed; -1: nowhere */
	enum log_level level; /* lines above it are dropped */
	bool json;
	bool relay;	     /* fd is such a pipe; then only the level counts */
	const char *vm_name; /* copied; may be NULL */
	const char *process; /* "core", "broker", "blk", …; copied */
	const char *device;  /* device id of a worker, copied; may be NULL */
};

/* Set up logging of this process. Call once, before other threads exist. */
void log_setup(const struct log_options *options);

/*
 * A descriptor of our own for what fd writes to, which does not block whatever other processes do
 * with theirs; a mere copy where that cannot be had (sockets). -1: not even that, errno says why.
 */
int log_descriptor(int fd);

/*
 * A line as it came through a pipe from a process that relays. data is whatever it wrote: what has
 * no level is an error. Levels above ours are dropped.
 */
void log_relayed(const char *process, const char *device, const char *data, size_t bytes);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * A token bucket for lines that a guest or a peer can cause: at most `burst` lines at once and one
 * more every interval_ms. Embedded by its user, one a place that logs; owned by one thread.
 */
struct log_ratelimit {
	uint32_t burst;
	uint32_t interval_ms;
	uint32_t tokens;
	uint32_t suppressed;
	uint64_t last_ms; /* CLOCK_MONOTONIC of the last refill, 0 before the first use */
};

#define LOG_RATELIMIT_INIT                                                                         \
	{                                                                                          \
		.burst = 5, .interval_ms = 5000, .tokens = 5                                       \
	}

/*
 * True when a line may be written now. When lines were suppressed since the last one that was
 * written, *suppressed says how many (may be NULL).
 */
bool log_ratelimit_allow(struct log_ratelimit *limit, uint32_t *suppressed);

#endif
