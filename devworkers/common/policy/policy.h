/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy compiler's parts: a host tool that turns a readable list of system calls (README.md in
 * this folder) into a seccomp filter as a C header. It reads only files of this source tree, runs
 * at build time and ends with a message at the first mistake.
 */
#ifndef BULKHEAD_DEVWORKERS_COMMON_POLICY_POLICY_H
#define BULKHEAD_DEVWORKERS_COMMON_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <seccomp.h>

#define POLICY_MAX_RULES      256
#define POLICY_MAX_CONDITIONS 6

enum policy_default {
	POLICY_DEFAULT_NOTIFY, /* the broker is asked, kills the process and reports the call */
	POLICY_DEFAULT_KILL,   /* the kernel kills the process */
};

/* One call, from one line: allowed, or refused with ENOSYS where a library then does without it. */
struct policy_rule {
	int syscall_number;
	bool refused;
	unsigned condition_count;
	struct scmp_arg_cmp conditions[POLICY_MAX_CONDITIONS]; /* all must hold */
	const char *file;				       /* where it stands, for messages */
	unsigned line;
};

struct policy {
	enum policy_default default_action;
	unsigned rule_count;
	struct policy_rule rules[POLICY_MAX_RULES];
};

/* Print "file:line: message" to standard error and end the program with status 1. */
void policy_fail(const char *file, unsigned line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

/* Append the rules of a file, and of those it includes, to policy. path must stay valid. */
void policy_read_file(struct policy *policy, const char *path);

/* Parse one condition ("prot&~(PROT_READ|PROT_WRITE)==0") of a rule for `syscall`. */
struct scmp_arg_cmp policy_parse_condition(const char *file, unsigned line, const char *syscall,
					   char *text);

/*
 * Index of the argument that `syscall` calls `name` ("arg2" works for every call), or -1. *is_32bit
 * says that the kernel looks at the low half only.
 */
int policy_argument_index(const char *syscall, const char *name, bool *is_32bit);

/* Value of a constant of the system's headers ("MAP_SHARED"). */
bool policy_constant_value(const char *name, uint64_t *value);

/* Compile and print "static const struct sock_filter NAME_filter[] = { … };". */
void policy_emit_filter(const struct policy *policy, const char *name, FILE *output);

#endif
