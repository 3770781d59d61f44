/* SPDX-License-Identifier: Apache-2.0 */
#include "devworkers/common/process_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum process_option {
	OPTION_DEVICE_ID = 1,
	OPTION_VM_NAME,
	OPTION_LOG_LEVEL,
	OPTION_LOG_RELAY,
	OPTION_SECCOMP,
	OPTION_HELP,
	OPTION_VERSION,
};

static int parse_seccomp(const char *text, enum sandbox_seccomp_mode *mode)
{
	if (strcmp(text, "true") == 0)
		*mode = SANDBOX_SECCOMP_ENFORCE;
	else if (strcmp(text, "log") == 0)
		*mode = SANDBOX_SECCOMP_LOG;
	else if (strcmp(text, "false") == 0)
		*mode = SANDBOX_SECCOMP_OFF;
	else
		return -EINVAL;
	return 0;
}

static int parse_log_level(const char *text, enum log_level *level)
{
	if (text[0] < '0' || text[0] > '0' + LOG_LEVEL_DEBUG || text[1] != '\0')
		return -EINVAL;
	*level = (enum log_level)(text[0] - '0');
	return 0;
}

static void print_help(const char *program, const char *about)
{
	printf("usage: %s [OPTION]...\n"
	       "%s Not for people: without the\n"
	       "sockets that the broker gives it, it ends at once.\n\n"
	       "  --device-id=ID            which device it serves, for log lines\n"
	       "  --vm-name=NAME            which VM it is part of, for log lines\n"
	       "  --log-level=N             0 errors, 1 warnings (default), 2 what happens, 3 all\n"
	       "  --log-relay               standard error is a pipe to the broker, which writes "
	       "the log\n"
	       "  --seccomp=true|log|false  its system call filter: enforced (default), logging, "
	       "off\n"
	       "  --help, --version\n",
	       program, about);
}

static int parse_option(int option, const char *argument, struct process_options *options)
{
	switch (option) {
	case OPTION_DEVICE_ID:
		options->device_id = argument;
		return 0;
	case OPTION_VM_NAME:
		options->vm_name = argument;
		return 0;
	case OPTION_LOG_LEVEL:
		return parse_log_level(argument, &options->log_level);
	case OPTION_LOG_RELAY:
		options->log_relay = true;
		return 0;
	case OPTION_SECCOMP:
		return parse_seccomp(argument, &options->seccomp_mode);
	default:
		return -EINVAL;
	}
}

static int parse_all(int argc, char **argv, const char *program, const char *about,
		     struct process_options *options)
{
	static const struct option known[] = {
		{"device-id", required_argument, NULL, OPTION_DEVICE_ID},
		{"vm-name", required_argument, NULL, OPTION_VM_NAME},
		{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
		{"log-relay", no_argument, NULL, OPTION_LOG_RELAY},
		{"seccomp", required_argument, NULL, OPTION_SECCOMP},
		{"help", no_argument, NULL, OPTION_HELP},
		{"version", no_argument, NULL, OPTION_VERSION},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == OPTION_HELP) {
			print_help(program, about);
			return 1;
		}
		if (option == OPTION_VERSION) {
			printf("%s v%s\n", program, BULKHEAD_VERSION);
			return 1;
		}
		if (parse_option(option, optarg, options) < 0)
			return -EINVAL;
	}
	return optind == argc ? 0 : -EINVAL;
}

int process_options_parse(int argc, char **argv, const char *about, struct process_options *options)
{
	const char *program = argc > 0 ? argv[0] : "bulkhead";
	int result;

	if (strrchr(program, '/'))
		program = strrchr(program, '/') + 1;
	*options = (struct process_options){
		.device_id = "",
		.vm_name = "",
		.log_level = LOG_LEVEL_WARNING,
	};
	result = parse_all(argc, argv, program, about, options);
	if (result < 0)
		(void)fprintf(stderr, "%s: see %s --help\n", program, program);
	return result;
}

void process_options_set_up_log(const struct process_options *options, const char *process,
				const char *device)
{
	log_setup(&(struct log_options){
		.fd = SANDBOX_LOG_FD,
		.level = options->log_level,
		.relay = options->log_relay,
		.vm_name = options->vm_name,
		.process = process,
		.device = device,
	});
}
