/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/log_format.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_ESCAPE 6 /* "\u001b" */

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_INFO:
		return "info";
	default:
		return "debug";
	}
}

/*
 * Proleptic Gregorian date of a day number since 1970-01-01, by 400-year eras that begin in March,
 * so that the leap day is the last of its year. gmtime_r() would read the time zone file.
 */
static void civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t shifted = days + 719468; /* days since 0000-03-01 */
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	unsigned day_of_era = (unsigned)(shifted - era * 146097);
	unsigned year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned march_month = (5 * day_of_year + 2) / 153;

	*day = day_of_year - (153 * march_month + 2) / 5 + 1;
	*month = march_month < 10 ? march_month + 3 : march_month - 9;
	*year = era * 400 + year_of_era + (*month <= 2 ? 1 : 0);
}

void log_format_timestamp(const struct timespec *time, char buffer[LOG_TIMESTAMP_SIZE])
{
	int64_t days = time->tv_sec / 86400;
	unsigned second = (unsigned)(time->tv_sec % 86400);
	unsigned month, day;
	int64_t year;

	civil_from_days(days, &year, &month, &day);
	(void)snprintf(buffer, LOG_TIMESTAMP_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
		       (unsigned)year % 10000, month, day, second / 3600, second / 60 % 60,
		       second % 60, (unsigned)(time->tv_nsec / 1000) % 1000000);
}

/* Length of the UTF-8 sequence at text when it is valid and not a C1 control; 0 otherwise. */
static size_t utf8_length(const uint8_t *text)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = text[0] >= 0xf0 && text[0] < 0xf8   ? 4
			: text[0] >= 0xe0 && text[0] < 0xf0 ? 3
			: text[0] >= 0xc0 && text[0] < 0xe0 ? 2
							    : 0;
	uint32_t code;

	if (length == 0)
		return 0;
	code = text[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fU);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return code < 0xa0 ? 0 : length;
}

/* One character of text to `to` (room for LONGEST_ESCAPE); *consumed says how much was read. */
static size_t escape_one(char *to, const uint8_t *text, bool json, size_t *consumed)
{
	static const char hex[] = "0123456789abcdef";
	size_t length = utf8_length(text);
	size_t used = 0;

	*consumed = 1;
	if (length > 0) {
		memcpy(to, text, length);
		*consumed = length;
		return length;
	}
	if (text[0] >= 0x20 && text[0] < 0x7f) {
		if (json && (text[0] == '"' || text[0] == '\\'))
			to[used++] = '\\';
		to[used++] = (char)text[0];
		return used;
	}
	to[used++] = '\\';
	to[used++] = json ? 'u' : 'x';
	if (json) {
		to[used++] = '0';
		to[used++] = '0';
	}
	to[used++] = hex[text[0] >> 4];
	to[used++] = hex[text[0] & 15];
	return used;
}

size_t log_escape(char *to, size_t capacity, const char *from, bool json)
{
	const uint8_t *text = (const uint8_t *)from;
	size_t used = 0;

	while (*text != '\0') {
		char escaped[LONGEST_ESCAPE];
		size_t consumed;
		size_t length = escape_one(escaped, text, json, &consumed);

		if (used + length + 1 > capacity)
			break;
		memcpy(to + used, escaped, length);
		used += length;
		text += consumed;
	}
	to[used] = '\0';
	return used;
}

struct line {
	char *text;
	size_t capacity, used;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
							   ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line->text + line->used, line->capacity - line->used, format, arguments);
	va_end(arguments);
	if (length > 0)
		line->used += (size_t)length < line->capacity - line->used
				      ? (size_t)length
				      : line->capacity - line->used - 1;
}

/* Leave tail_bytes free at the end for what must follow. */
static void line_add_escaped(struct line *line, const char *text, bool json, size_t tail_bytes)
{
	if (line->capacity - line->used > tail_bytes + 1)
		line->used += log_escape(line->text + line->used,
					 line->capacity - line->used - tail_bytes, text, json);
}

size_t log_format_text(const struct log_record *record, char *line_text, size_t capacity)
{
	struct line line = {.text = line_text, .capacity = capacity};
	char timestamp[LOG_TIMESTAMP_SIZE];

	log_format_timestamp(&record->time, timestamp);
	line_add(&line, "%s ", timestamp);
	if (record->vm_name[0] != '\0') {
		line_add_escaped(&line, record->vm_name, false, 1);
		line_add(&line, " ");
	}
	line_add_escaped(&line, record->process, false, 1);
	if (record->device[0] != '\0') {
		line_add(&line, "[");
		line_add_escaped(&line, record->device, false, 1);
		line_add(&line, "]");
	}
	line_add(&line, " %s: ", level_name(record->level));
	line_add_escaped(&line, record->text, false, 1);
	line_add(&line, "\n");
	return line.used;
}

static void line_add_json_field(struct line *line, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	line_add(line, ",\"%s\":\"", name);
	line_add_escaped(line, value, true, 3);
	line_add(line, "\"");
}

size_t log_format_json(const struct log_record *record, char *line_text, size_t capacity)
{
	struct line line = {.text = line_text, .capacity = capacity};
	char timestamp[LOG_TIMESTAMP_SIZE];

	log_format_timestamp(&record->time, timestamp);
	line_add(&line, "{\"time\":\"%s\",\"level\":\"%s\"", timestamp, level_name(record->level));
	line_add_json_field(&line, "vm", record->vm_name);
	line_add_json_field(&line, "process", record->process);
	line_add_json_field(&line, "device", record->device);
	line_add_json_field(&line, "text", record->text);
	line_add(&line, "}\n");
	return line.used;
}
