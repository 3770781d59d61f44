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
#include <stdlib.h>
#include <sys/stat.h>

#include "devworkers/common/process_options.h"
#include "devworkers/common/sandbox.h"
#include "ipc/log.h"
#include "vmm/gateway/gateway.h"
#include "vmm/gateway/policy.seccomp.h"

#define GATEWAY_MAX_FDS		  1024U /* clients, each with a few descriptors on their way */
#define GATEWAY_MAX_PRIVATE_BYTES ((uint64_t)256 << 20)

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
	struct process_options options;
	static const int keep_fds[] = {SANDBOX_BROKER_FD};
	struct sandbox_options sandbox = {.policy = &gateway_policy,
					  .keep_fds = keep_fds,
					  .keep_fd_count = 1,
					  .max_fds = GATEWAY_MAX_FDS,
					  .max_private_bytes = GATEWAY_MAX_PRIVATE_BYTES};
	struct error err = ERROR_INIT;
	struct gateway gateway = {0};
	int result;

	result = process_options_parse(
		argc, argv, "The control sockets of a VM, started by bulkhead-broker.", &options);
	if (result != 0)
		return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	process_options_set_up_log(&options, "gateway", NULL);
	sandbox.seccomp_mode = options.seccomp_mode;
	result = sandbox_enter_and_report(&sandbox, prepare, &gateway, &err);
	if (result == 0)
		result = gateway_run(&gateway);
	else
		log_error("%s", err.message);
	gateway_destroy(&gateway);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
