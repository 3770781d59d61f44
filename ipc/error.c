/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void
error_format(struct error *err, int code, const char *format, va_list arguments)
{
	err->code = code;
	if (vsnprintf(err->message, sizeof(err->message), format, arguments) < 0)
		err->message[0] = '\0';
}

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list arguments;

	if (!err)
		return code;
	va_start(arguments, format);
	error_format(err, code, format, arguments);
	va_end(arguments);
	return code;
}

int error_set_errno(struct error *err, int code, const char *format, ...)
{
	va_list arguments;
	size_t used;

	if (!err)
		return code;
	va_start(arguments, format);
	error_format(err, code, format, arguments);
	va_end(arguments);
	used = strlen(err->message);
	(void)snprintf(err->message + used, sizeof(err->message) - used, ": %s", strerror(-code));
	return code;
}

int error_prefix(struct error *err, const char *format, ...)
{
	char inner[ERROR_MESSAGE_SIZE];
	va_list arguments;
	size_t used;

	if (!err)
		return 0;
	memcpy(inner, err->message, sizeof(inner));
	va_start(arguments, format);
	error_format(err, err->code, format, arguments);
	va_end(arguments);
	used = strlen(err->message);
	(void)snprintf(err->message + used, sizeof(err->message) - used, ": %s", inner);
	return err->code;
}
