/* SPDX-License-Identifier: Apache-2.0 */
/* What this host offers, one check a line: collected by host_kvm.c and host_kernel.c, printed here.
 */
#ifndef BULKHEAD_VMM_CORE_HOST_HOST_REPORT_H
#define BULKHEAD_VMM_CORE_HOST_HOST_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#define HOST_REPORT_MAX_CHECKS 16U

struct host_check {
	const char *name; /* a constant */
	bool ok;
	bool required;	  /* without it no VM runs, unless the operator asks for less by name */
	char detail[256]; /* what was found */
	char advice[256]; /* what to do when it is missing */
};

/* How KVM runs a guest here. */
enum host_execution {
	HOST_EXECUTION_UNKNOWN,	 /* no KVM, or the probe did not get that far */
	HOST_EXECUTION_NATIVE,	 /* by the processor: stock kernels boot */
	HOST_EXECUTION_EMULATED, /* instruction by instruction: they do not */
};

struct host_report {
	char kvm_backend[64]; /* "kvm_intel", …; "" when there is no KVM */
	bool nested;	      /* this host is a virtual machine itself */
	enum host_execution execution;
	unsigned count;
	struct host_check checks[HOST_REPORT_MAX_CHECKS];
};

/* Append a check, missing until host_check_ok(). Never NULL: more checks than fit is our own bug.
 */
struct host_check *host_report_add(struct host_report *report, const char *name, bool required);

void host_check_ok(struct host_check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void host_check_missing(struct host_check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void host_check_advise(struct host_check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Every required check is ok. */
bool host_report_can_run(const struct host_report *report);

/* One line a check and a closing sentence. */
void host_report_print_text(const struct host_report *report, FILE *output);

/*
 * One JSON object: {"version", "can_run", "stock_kernels", "kvm": {"backend", "nested",
 * "execution"}, "checks": [{"name", "ok", "required", "detail", "advice"}]}.
 */
void host_report_print_json(const struct host_report *report, FILE *output);

#endif
