/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as a person reads them.
 *
 * A caller-owned, fixed-size message that is built from the inside out: the place that fails sets
 * it, every module on the way up may put its own context in front, and whoever handles the error
 * logs it once. No allocation, usable from any thread, never from a signal handler.
 */
#ifndef BULKHEAD_IPC_ERROR_H
#define BULKHEAD_IPC_ERROR_H

#define ERROR_MESSAGE_SIZE 512

struct error {
	int code; /* negative errno, 0 while no error is set */
	char message[ERROR_MESSAGE_SIZE];
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		0, ""                                                                              \
	}

/*
 * Set err to "formatted text" and code (a negative errno). err may be NULL. Returns code, so that
 * `return error_set(err, -EINVAL, "…")` reads naturally.
 */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and strerror(-code) appended. */
int error_set_errno(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "formatted text: " in front of the message that err holds. Returns err->code (or 0 for NULL).
 */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
