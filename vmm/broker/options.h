/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's command line. Written by the core (vmm/core/workers/broker_client.c), not by people.
 */
#ifndef BULKHEAD_VMM_BROKER_OPTIONS_H
#define BULKHEAD_VMM_BROKER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "ipc/log.h"

/* Strings point into argv. */
struct broker_options {
	int core_fd; /* SOCK_SEQPACKET to the core */
	int log_fd;
	enum log_level log_level;
	bool log_json;
	const char *vm_name;
	const char *seccomp;	   /* "true", "log", "false": handed on to workers */
	const char *worker_folder; /* NULL: the folder of the broker's own program */
	uint32_t uid_base, uid_count;
	const char *uid_lock_path;
	uint32_t allow_missing; /* sandbox stages, 1 << enum sandbox_stage */
};

/* 0; 1 after --help or --version, which are answered here; or -EINVAL with err set. */
int broker_options_parse(int argc, char **argv, struct broker_options *options, struct error *err);

#endif
