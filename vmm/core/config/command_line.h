/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `bulkhead`, in Cloud Hypervisor's grammar. */
#ifndef BULKHEAD_VMM_CORE_CONFIG_COMMAND_LINE_H
#define BULKHEAD_VMM_CORE_CONFIG_COMMAND_LINE_H

#include <stdbool.h>

#include "devworkers/common/sandbox.h"
#include "ipc/error.h"
#include "ipc/log.h"
#include "proto/config.pb-c.h"
#include "vmm/core/control/control_settings.h"

/* --restore and --incoming. */
struct restore_request {
	char *source_url;	   /* "file:///DIR"; protobuf string, "" for none */
	char *memory_restore_mode; /* "copy", "ondemand" */
	protobuf_c_boolean prefault, resume, force;
};

struct command_line {
	Bulkhead__Config__Vm *config;	 /* owned; completed when has_vm */
	bool has_vm;			 /* a kernel or another VM option was given */
	struct restore_request restore;	 /* with it, config holds overrides and is not completed */
	struct control_settings control; /* sockets, event monitor */
	const char *config_file;	 /* --config; NULL: none */
	enum sandbox_seccomp_mode seccomp;
	enum log_level log_level;
	bool log_json;
	const char *log_file;	   /* NULL: standard error */
	const char *uid_range;	   /* BASE:COUNT; NULL: the default */
	const char *allow_missing; /* sandbox stages that may be missing, by name; NULL: none */
};

/* The directory of a "file:///DIR" or "file:DIR" URL; NULL with err set. Points into url. */
const char *command_line_url_path(const char *option, const char *url, struct error *err);

/*
 * Parse argv. Returns 0; 1 when everything is done already (--help, --version) and the program
 * shall exit with status 0; a negative errno with err set for bad input.
 */
int command_line_parse(int argc, char **argv, struct command_line *line, struct error *err);

void command_line_destroy(struct command_line *line);

#endif
