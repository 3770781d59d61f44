/* SPDX-License-Identifier: Apache-2.0 */
/* The command line that the broker gives to every process it starts (vmm/broker/spawn.c). */
#ifndef BULKHEAD_DEVWORKERS_COMMON_PROCESS_OPTIONS_H
#define BULKHEAD_DEVWORKERS_COMMON_PROCESS_OPTIONS_H

#include <stdbool.h>

#include "devworkers/common/sandbox.h"
#include "ipc/log.h"

/* Strings point into argv, or are "". */
struct process_options {
	const char *device_id, *vm_name;
	enum log_level log_level;
	bool log_relay;
	enum sandbox_seccomp_mode seccomp_mode;
};

/*
 * --device-id=ID --vm-name=NAME --log-level=0..3 --log-relay --seccomp=true|log|false, all
 * optional. 0; 1 after --help or --version, which are answered here, with `about` as what the
 * program is; or -EINVAL after a mistake, which is told on standard error.
 */
int process_options_parse(int argc, char **argv, const char *about,
			  struct process_options *options);

/* Log to SANDBOX_LOG_FD as the options say. device: of a worker; NULL: none. See log_setup(). */
void process_options_set_up_log(const struct process_options *options, const char *process,
				const char *device);

#endif
