/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead: the core process of one virtual machine. docs/ARCHITECTURE.md says who does what. */
#include <stdio.h>

#include "vmm/core/config/command_line.h"
#include "vmm/core/control/monitor.h"

int main(int argc, char **argv)
{
	struct command_line line;
	struct error err = ERROR_INIT;
	enum monitor_exit status = MONITOR_EXIT_USAGE;
	int result = command_line_parse(argc, argv, &line, &err);

	if (result > 0)
		status = MONITOR_EXIT_CLEAN;
	else if (result < 0)
		(void)fprintf(stderr, "bulkhead: %s\n", err.message);
	else if (!line.has_vm && !line.restore.source_url[0])
		(void)fprintf(stderr, "bulkhead: nothing to run: give --kernel or --restore; see "
				      "bulkhead --help\n");
	else
		status = monitor_run(&line);
	command_line_destroy(&line);
	return status;
}
