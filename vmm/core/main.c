/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead: the core process of one virtual machine. docs/ARCHITECTURE.md says who does what. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/core/config/command_line.h"
#include "vmm/core/control/monitor.h"
#include "vmm/core/control/process_setup.h"
#include "vmm/core/host/check_host.h"
#include "vmm/core/snapshot/inspect.h"

/* `bulkhead WORD …`: other uses than running a VM. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the word; returns the exit status */
} subcommands[] = {
	{"check-host", check_host_main},
	{"inspect", inspect_main},
};

/* What was asked for and could not be written was not given. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	(void)fprintf(stderr, "bulkhead: standard output: %s\n", strerror(errno));
	return status == MONITOR_EXIT_CLEAN ? MONITOR_EXIT_INTERNAL : status;
}

int main(int argc, char **argv)
{
	struct command_line line;
	struct error err = ERROR_INIT;
	enum monitor_exit status = MONITOR_EXIT_USAGE;
	int result = process_setup(&err);

	if (result < 0) {
		(void)fprintf(stderr, "bulkhead: %s\n", err.message);
		return MONITOR_EXIT_HOST;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(subcommands) / sizeof(*subcommands); i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return finish(subcommands[i].run(argc - 1, argv + 1));
	result = command_line_parse(argc, argv, &line, &err);
	if (result > 0)
		status = finish(MONITOR_EXIT_CLEAN);
	else if (result < 0)
		(void)fprintf(stderr, "bulkhead: %s\n", err.message);
	else if (!line.has_vm && !line.restore.source_url[0] && !line.config_file &&
		 !line.control.socket_count)
		(void)fprintf(stderr,
			      "bulkhead: nothing to do: give --kernel, --restore, --config or "
			      "--api-socket; see bulkhead --help\n");
	else
		status = monitor_run(&line);
	command_line_destroy(&line);
	return status;
}
