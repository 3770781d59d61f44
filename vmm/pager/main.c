/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulkhead-pager: serves the memory of a VM that is restored on demand. Started by the broker, as
 * workers are:
 *   1. read the broker's options, set up the log;
 *   2. enter the sandbox up to its last stage;
 *   3. make the loop and the channel to the core;
 *   4. lock the sandbox and report to the broker;
 *   5. serve until the core is gone.
 */
#include <stdlib.h>

#include "devworkers/common/process_options.h"
#include "devworkers/common/sandbox.h"
#include "ipc/log.h"
#include "vmm/pager/pager.h"
#include "vmm/pager/policy.seccomp.h"

#define PAGER_MAX_FDS	  (2U * PAGER_MAX_PROCESSES + CHANNEL_MAX_FDS)
#define PAGER_MAX_THREADS 8U

/* Between the sandbox's stages and its lock. */
static int prepare(void *opaque, struct error *err)
{
	return pager_init(opaque, SANDBOX_CORE_FD, err);
}

int main(int argc, char **argv)
{
	struct process_options options;
	struct sandbox_options sandbox = {.policy = &pager_policy,
					  .max_fds = PAGER_MAX_FDS,
					  .max_threads = PAGER_MAX_THREADS};
	struct error err = ERROR_INIT;
	struct pager pager = {0};
	int result;

	result = process_options_parse(
		argc, argv,
		"Memory of a VM that is restored on demand, started by bulkhead-broker.", &options);
	if (result != 0)
		return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	process_options_set_up_log(&options, "pager", NULL);
	sandbox.seccomp_mode = options.seccomp_mode;
	result = sandbox_enter_and_report(&sandbox, prepare, &pager, &err);
	if (result == 0)
		result = pager_run(&pager);
	else
		log_error("%s", err.message);
	pager_destroy(&pager);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
