/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-gateway: parses what clients of a VM's control sockets write, so that nobody else has
 * to. Started by the broker, as workers are:
 *   1. read the broker's options, set up the log;
 *   2. enter the sandbox up to its last stage;
 *   3. make the loop and the channels to the core and to the broker;
 *   4. lock the sandbox and report to the broker;
 *   5. serve until the core is gone.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "devworkers/common/sandbox.h"
#include "ipc/log.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/policy.seccomp.h"

#define GATEWAY_MAX_FDS		  1024U /* clients, each with a few descriptors on their way */
#define GATEWAY_MAX_PRIVATE_BYTES ((uint64_t)256 << 20)

struct gateway_options {
	const char *vm_name;
	unsigned log_level;
	bool log_json;
	enum sandbox_seccomp_mode seccomp_mode;
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
		return -1;
	return 0;
}

static int parse_options(int argc, char **argv, struct gateway_options *options)
{
	static const struct option known[] = {
		{"device-id", required_argument, NULL, 'i'},
		{"vm-name", required_argument, NULL, 'n'},
		{"log-level", required_argument, NULL, 'l'},
		{"log-json", no_argument, NULL, 'j'},
		{"seccomp", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'n')
			options->vm_name = optarg;
		else if (option == 'l' && optarg[0] >= '0' && optarg[0] <= '3' && !optarg[1])
			options->log_level = (unsigned)(optarg[0] - '0');
		else if (option == 'j')
			options->log_json = true;
		else if (option != 'i' &&
			 (option != 's' || parse_seccomp(optarg, &options->seccomp_mode) < 0))
			return -1;
	}
	return optind == argc ? 0 : -1;
}

/* Between the sandbox's stages and its lock. */
static int prepare(void *opaque, struct error *err)
{
	struct gateway *gateway = opaque;
	struct stat status;
	/* Whoever starts us without one gets no command through that names files. Looked at before
	 * the number can be that of something else. */
	bool has_broker = fstat(SANDBOX_BROKER_FD, &status) == 0 && S_ISSOCK(status.st_mode);

	if (gateway_init(gateway, SANDBOX_CORE_FD, err) < 0)
		return err->code;
	return has_broker ? broker_link_init(&gateway->broker, gateway, SANDBOX_BROKER_FD, err) : 0;
}

int main(int argc, char **argv)
{
	struct gateway_options options = {.log_level = LOG_LEVEL_WARNING};
	static const int keep_fds[] = {SANDBOX_BROKER_FD};
	struct sandbox_options sandbox = {.policy = &gateway_policy,
					  .keep_fds = keep_fds,
					  .keep_fd_count = 1,
					  .max_fds = GATEWAY_MAX_FDS,
					  .max_private_bytes = GATEWAY_MAX_PRIVATE_BYTES};
	struct error err = ERROR_INIT;
	struct gateway gateway = {0};
	int result;

	if (parse_options(argc, argv, &options) < 0) {
		(void)fprintf(stderr, "usage: bulkhead-gateway [--device-id=ID] [--vm-name=NAME] "
				      "[--log-level=0..3] [--log-json] [--seccomp=true|log|false]\n"
				      "The control sockets of a VM, started by bulkhead-broker.\n");
		return EXIT_FAILURE;
	}
	log_setup(&(struct log_options){.fd = SANDBOX_LOG_FD,
					.level = (enum log_level)options.log_level,
					.json = options.log_json,
					.vm_name = options.vm_name,
					.process = "gateway"});
	sandbox.seccomp_mode = options.seccomp_mode;
	result = sandbox_enter_and_report(&sandbox, prepare, &gateway, &err);
	if (result == 0)
		result = gateway_run(&gateway);
	else
		log_error("%s", err.message);
	gateway_destroy(&gateway);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
