/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/host/host_report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>

struct host_check *host_report_add(struct host_report *report, const char *name, bool required)
{
	struct host_check *check;

	assert(report->count < HOST_REPORT_MAX_CHECKS);
	check = &report->checks[report->count++];
	*check = (struct host_check){.name = name, .required = required};
	return check;
}

void host_check_ok(struct host_check *check, const char *format, ...)
{
	va_list arguments;

	check->ok = true;
	va_start(arguments, format);
	(void)vsnprintf(check->detail, sizeof(check->detail), format, arguments);
	va_end(arguments);
}

void host_check_missing(struct host_check *check, const char *format, ...)
{
	va_list arguments;

	check->ok = false;
	va_start(arguments, format);
	(void)vsnprintf(check->detail, sizeof(check->detail), format, arguments);
	va_end(arguments);
}

void host_check_advise(struct host_check *check, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(check->advice, sizeof(check->advice), format, arguments);
	va_end(arguments);
}

bool host_report_can_run(const struct host_report *report)
{
	for (unsigned i = 0; i < report->count; i++)
		if (report->checks[i].required && !report->checks[i].ok)
			return false;
	return true;
}

static void print_text_conclusion(const struct host_report *report, FILE *output)
{
	if (!host_report_can_run(report))
		(void)fputs("No virtual machine can run on this host as it is.\n", output);
	else if (report->execution == HOST_EXECUTION_NATIVE)
		(void)fputs("Virtual machines run on this host, stock kernels too.\n", output);
	else if (report->execution == HOST_EXECUTION_EMULATED)
		(void)fputs("Virtual machines run on this host, but stock kernels do not boot.\n",
			    output);
	else
		(void)fputs("Virtual machines run on this host.\n", output);
}

void host_report_print_text(const struct host_report *report, FILE *output)
{
	for (unsigned i = 0; i < report->count; i++) {
		const struct host_check *check = &report->checks[i];

		(void)fprintf(output, "%-14s %-8s %s%s%s\n", check->name,
			      check->ok ? "ok" : "missing", check->detail,
			      !check->ok && check->advice[0] ? "; " : "",
			      !check->ok ? check->advice : "");
	}
	print_text_conclusion(report, output);
}

/* RFC 8259, 7. Bytes beyond ASCII, which could be malformed UTF-8, are written as code points. */
static void print_json_string(const char *text, FILE *output)
{
	(void)fputc('"', output);
	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;

		if (byte == '"' || byte == '\\')
			(void)fprintf(output, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f)
			(void)fprintf(output, "\\u%04x", byte);
		else
			(void)fputc(byte, output);
	}
	(void)fputc('"', output);
}

static void print_json_check(const struct host_check *check, FILE *output)
{
	(void)fputs("    {\"name\": ", output);
	print_json_string(check->name, output);
	(void)fprintf(output,
		      ", \"ok\": %s, \"required\": %s, \"detail\": ", check->ok ? "true" : "false",
		      check->required ? "true" : "false");
	print_json_string(check->detail, output);
	(void)fputs(", \"advice\": ", output);
	print_json_string(check->ok ? "" : check->advice, output);
	(void)fputc('}', output);
}

void host_report_print_json(const struct host_report *report, FILE *output)
{
	static const char *const executions[] = {
		[HOST_EXECUTION_UNKNOWN] = "unknown",
		[HOST_EXECUTION_NATIVE] = "native",
		[HOST_EXECUTION_EMULATED] = "emulated",
	};

	(void)fprintf(
		output,
		"{\n  \"version\": \"" BULKHEAD_VERSION
		"\",\n  \"can_run\": %s,\n  \"stock_kernels\": %s,\n  \"kvm\": {\"backend\": ",
		host_report_can_run(report) ? "true" : "false",
		report->execution == HOST_EXECUTION_NATIVE ? "true" : "false");
	print_json_string(report->kvm_backend, output);
	(void)fprintf(output, ", \"nested\": %s, \"execution\": \"%s\"},\n  \"checks\": [\n",
		      report->nested ? "true" : "false", executions[report->execution]);
	for (unsigned i = 0; i < report->count; i++) {
		print_json_check(&report->checks[i], output);
		(void)fputs(i + 1 < report->count ? ",\n" : "\n", output);
	}
	(void)fputs("  ]\n}\n", output);
}
