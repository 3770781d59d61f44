/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of one log line. Pure: buffers in, buffers out, no locale, no time zone files (a
 * sandboxed process could not open them). Text may hold what a guest or peer wrote: a line stays
 * one line, and nothing in it is obeyed by a terminal or a JSON parser.
 */
#ifndef BULKHEAD_IPC_LOG_FORMAT_H
#define BULKHEAD_IPC_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "ipc/log.h"

#define LOG_TEXT_SIZE	   1024
#define LOG_LINE_SIZE	   4096 /* at most PIPE_BUF: a line in a pipe is not mixed with others */
#define LOG_TIMESTAMP_SIZE 64

struct log_record {
	struct timespec time; /* CLOCK_REALTIME */
	enum log_level level;
	const char *vm_name, *process, *device; /* "": left out */
	const char *text;
};

/* "2026-01-31T12:00:00.123456Z", UTC. */
void log_format_timestamp(const struct timespec *time, char buffer[LOG_TIMESTAMP_SIZE]);

/*
 * Copy text, with control characters and bytes that are not UTF-8 as \xNN (json: \u00NN; quotes and
 * backslashes escaped). What does not fit is cut off at a character. Returns the length; the result
 * is terminated.
 */
size_t log_escape(char *to, size_t capacity, const char *from, bool json);

/* A whole line with its newline; returns its length, at most capacity - 1. */
size_t log_format_text(const struct log_record *record, char *line, size_t capacity);
size_t log_format_json(const struct log_record *record, char *line, size_t capacity);

#endif
