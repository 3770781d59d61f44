/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes what the restore benchmarks start from: boots the guest `answer` with that much memory, of
 * which it touches TOUCH_MIB, and saves it into DIRECTORY. Its disk is blank.
 *
 * make_snapshot DIRECTORY MEMORY_MIB TOUCH_MIB
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/vmm/core/snapshot/vm_under_test.h"

static int take(struct vm_under_test *test, const char *directory, unsigned memory_mib,
		const char *touch_mib)
{
	char cmdline[64];
	struct vm_under_test_machine machine = {
		.guest = "answer",
		.cmdline = cmdline,
		.cpus = 1,
		.memory_bytes = (uint64_t)memory_mib << 20,
	};
	int rc;

	(void)snprintf(cmdline, sizeof(cmdline), "touch=%s", touch_mib);
	rc = vm_under_test_boot_machine(test, &machine);
	if (rc == 0 && !vm_under_test_wait_text(test, "ready", 0))
		rc = -1;
	if (rc == 0)
		rc = vm_under_test_pause(test);
	if (rc == 0)
		rc = vm_under_test_snapshot(test, directory);
	if (rc != 0)
		printf("make_snapshot: %s\n", test->result.message);
	return rc;
}

int main(int argc, char **argv)
{
	struct vm_under_test test;
	int rc;

	if (argc != 4)
		return 2;
	vm_under_test_init(&test);
	rc = take(&test, argv[1], (unsigned)strtoul(argv[2], NULL, 10), argv[3]);
	vm_under_test_destroy(&test);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
