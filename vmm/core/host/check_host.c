/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/host/check_host.h"

#include <stdio.h>
#include <string.h>

#include "vmm/core/control/monitor.h"
#include "vmm/core/host/host_kernel.h"
#include "vmm/core/host/host_kvm.h"

static const char help[] =
	"Usage: bulkhead check-host [--json]\n"
	"Say what this host offers: KVM and how it runs guests, what the sandbox stands on, and "
	"what\n"
	"single features need. One line a check, with what to do where something is missing.\n\n"
	"      --json   print one JSON object instead\n"
	"      --help   print this and do nothing\n\n"
	"Exit status: 0 virtual machines can run here; 2 bad command line; 3 the host lacks "
	"something\n"
	"that is needed.\n";

int check_host_main(int argc, char **argv)
{
	struct host_report report = {.count = 0};
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			(void)fputs(help, stdout);
			return MONITOR_EXIT_CLEAN;
		}
		if (strcmp(argv[i], "--json") != 0) {
			(void)fprintf(stderr,
				      "bulkhead: check-host: unknown option \"%s\"; see bulkhead "
				      "check-host --help\n",
				      argv[i]);
			return MONITOR_EXIT_USAGE;
		}
		json = true;
	}
	host_check_kvm(&report);
	host_check_sandbox(&report);
	host_check_features(&report);
	if (json)
		host_report_print_json(&report, stdout);
	else
		host_report_print_text(&report, stdout);
	return host_report_can_run(&report) ? MONITOR_EXIT_CLEAN : MONITOR_EXIT_HOST;
}
