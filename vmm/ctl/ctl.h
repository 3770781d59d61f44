/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkheadctl: verbs on the command line to requests of the API, answers to text for people or to
 * JSON for programs. Holds no privilege; everything goes over the control socket.
 */
#ifndef BULKHEAD_VMM_CTL_CTL_H
#define BULKHEAD_VMM_CTL_CTL_H

#include <stdbool.h>

#include <jansson.h>

#include "ipc/error.h"

/* Exit statuses, as --help and the manual document them. */
enum ctl_exit {
	CTL_EXIT_OK = 0,
	CTL_EXIT_FAILED = 1,  /* it was tried, and failed */
	CTL_EXIT_USAGE = 2,   /* wrong command line, or a request that is not valid */
	CTL_EXIT_NO_VMM = 3,  /* nobody serves the socket */
	CTL_EXIT_STATE = 4,   /* not in this state: no VM, no such device, not paused, busy */
	CTL_EXIT_TIMEOUT = 5, /* no answer in time */
};

struct ctl {
	const char *socket_path;
	bool json;
	int timeout_ms; /* of one request; -1: none */
};

/*
 * One request; *reply receives the answer's JSON (caller's reference; NULL: it has none). Errors
 * are printed. Returns the exit status.
 */
enum ctl_exit ctl_request(const struct ctl *ctl, const char *method, const char *name,
			  const char *body, json_t **reply);

/* The answer with status and body as one, for those who send by themselves; prints errors. */
enum ctl_exit ctl_take_answer(unsigned status, const char *body, json_t **reply);

/* "bulkheadctl: text" on standard error. */
void ctl_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print for a program. Takes the reference. */
enum ctl_exit ctl_print_json(json_t *value);

/* Text of others on a terminal: control characters are shown, not obeyed. */
void ctl_print_text(const char *text);

struct ctl_verb {
	const char *name;
	const char *arguments; /* "ID SIZE", for --help */
	const char *summary;   /* one line */
	const char *details;   /* further lines, or NULL */
	int min_arguments, max_arguments;
	/* A verb that is one request without a body needs no run(). */
	const char *method, *request;
	enum ctl_exit (*run)(const struct ctl *ctl, int count, char **arguments);
};

extern const struct ctl_verb ctl_verbs[];
extern const unsigned ctl_verb_count;

/* ---- verbs with code of their own ---- */
enum ctl_exit ctl_run_info(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_ping(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_counters(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_create(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_resize_disk(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_events(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_ps(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_snapshot(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_progress(const struct ctl *ctl, int count, char **arguments);
enum ctl_exit ctl_run_restore(const struct ctl *ctl, int count, char **arguments);

#endif
