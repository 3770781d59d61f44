/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/sandbox.h"
#include "vmm/broker/uid_slot.h"

enum option_code {
	OPTION_CORE_FD = 1,
	OPTION_LOG_FD,
	OPTION_LOG_LEVEL,
	OPTION_LOG_JSON,
	OPTION_VM_NAME,
	OPTION_SECCOMP,
	OPTION_WORKER_FOLDER,
	OPTION_UID_RANGE,
	OPTION_UID_LOCK,
	OPTION_ALLOW_MISSING,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"core-fd", required_argument, NULL, OPTION_CORE_FD},
	{"log-fd", required_argument, NULL, OPTION_LOG_FD},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"log-json", no_argument, NULL, OPTION_LOG_JSON},
	{"vm-name", required_argument, NULL, OPTION_VM_NAME},
	{"seccomp", required_argument, NULL, OPTION_SECCOMP},
	{"worker-folder", required_argument, NULL, OPTION_WORKER_FOLDER},
	{"uid-range", required_argument, NULL, OPTION_UID_RANGE},
	{"uid-lock", required_argument, NULL, OPTION_UID_LOCK},
	{"allow-missing", required_argument, NULL, OPTION_ALLOW_MISSING},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

static const char help[] =
	"usage: bulkhead-broker --core-fd=N [OPTION]...\n"
	"Opens what a VM's configuration names and starts the VM's other processes. Not for "
	"people:\n"
	"bulkhead starts it.\n\n"
	"  --core-fd=N                the socket to the core\n"
	"  --log-fd=N                 where log lines go (2), also of the processes it starts\n"
	"  --log-level=N              0 errors, 1 warnings (default), 2 what happens, 3 all\n"
	"  --log-json                 log lines in JSON\n"
	"  --vm-name=NAME             for log lines\n"
	"  --seccomp=true|log|false   handed on to the processes it starts\n"
	"  --worker-folder=DIR        where their programs are (the folder of this one)\n"
	"  --uid-range=BASE:COUNT     ids for the VMs of this host, when started as root\n"
	"  --uid-lock=PATH            file on which VMs claim them\n"
	"  --allow-missing=STAGE,...  sandbox stages that may be missing\n"
	"  --help, --version\n";

/* Decimal in 0..max, or -1. */
static long number_parse(const char *text, long max)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	return errno || end == text || *end || value < 0 || value > max ? -1 : value;
}

static int option_seccomp(struct broker_options *options, const char *text, struct error *err)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "log") != 0 && strcmp(text, "false") != 0)
		return error_set(err, -EINVAL, "--seccomp: expected true, log or false");
	options->seccomp = text;
	return 0;
}

static int option_apply(struct broker_options *options, int code, const char *text,
			struct error *err)
{
	long number;

	switch (code) {
	case OPTION_CORE_FD:
	case OPTION_LOG_FD:
	case OPTION_LOG_LEVEL:
		number = number_parse(text, code == OPTION_LOG_LEVEL ? LOG_LEVEL_DEBUG : 4095);
		if (number < 0)
			return error_set(err, -EINVAL, "not a number: \"%s\"", text);
		if (code == OPTION_CORE_FD)
			options->core_fd = (int)number;
		else if (code == OPTION_LOG_FD)
			options->log_fd = (int)number;
		else
			options->log_level = (enum log_level)number;
		return 0;
	case OPTION_LOG_JSON:
		options->log_json = true;
		return 0;
	case OPTION_VM_NAME:
		options->vm_name = text;
		return 0;
	case OPTION_SECCOMP:
		return option_seccomp(options, text, err);
	case OPTION_WORKER_FOLDER:
		options->worker_folder = text;
		return 0;
	case OPTION_UID_RANGE:
		if (uid_range_parse(text, &options->uid_base, &options->uid_count, err) < 0)
			return error_prefix(err, "--uid-range %s", text);
		return 0;
	case OPTION_UID_LOCK:
		options->uid_lock_path = text;
		return 0;
	case OPTION_ALLOW_MISSING:
		return sandbox_stages_parse(text, &options->allow_missing, err);
	default:
		return error_set(err, -EINVAL, "unknown option");
	}
}

int broker_options_parse(int argc, char **argv, struct broker_options *options, struct error *err)
{
	int code;

	*options = (struct broker_options){
		.core_fd = -1,
		.log_fd = 2,
		.log_level = LOG_LEVEL_WARNING,
		.vm_name = "vm",
		.seccomp = "true",
		.uid_base = UID_RANGE_DEFAULT_BASE,
		.uid_count = UID_RANGE_DEFAULT_COUNT,
		.uid_lock_path = UID_LOCK_DEFAULT_PATH,
	};
	while ((code = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		int rc;

		if (code == OPTION_HELP)
			(void)fputs(help, stdout);
		if (code == OPTION_VERSION)
			printf("bulkhead-broker v%s\n", BULKHEAD_VERSION);
		if (code == OPTION_HELP || code == OPTION_VERSION)
			return 1;
		rc = option_apply(options, code, optarg, err);
		if (rc != 0)
			return rc;
	}
	if (optind != argc)
		return error_set(err, -EINVAL, "unexpected argument \"%s\"", argv[optind]);
	if (options->core_fd < 0)
		return error_set(err, -EINVAL,
				 "--core-fd is missing: the core starts this program");
	return 0;
}
