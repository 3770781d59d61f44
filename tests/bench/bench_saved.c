/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_saved.h"

#include <stdio.h>

#include "ipc/cleanup.h"
#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_qmp.h"

#define GUEST_TIMEOUT_MS 60000

int bench_saved_snapshot(const char *build, const char *path, unsigned memory_mib,
			 unsigned touch_mib, struct error *err)
{
	static struct bench_command command;
	int rc = bench_folder_remove(path, err);

	if (rc != 0)
		return rc;
	bench_command_init(&command);
	bench_command_add(&command, "%s/tests/bench/make_snapshot %s %u %u", build, path,
			  memory_mib, touch_mib);
	return bench_process_run(&command, err);
}

/* Saved while it runs: what was stopped when it was saved stays so. */
static int save(const char *socket_path, const char *path, struct error *err)
{
	cleanup_fd int fd = bench_qmp_connect(socket_path, err);

	return fd < 0 ? fd : bench_qmp_save(fd, path, err);
}

int bench_saved_migration(const struct bench_machine *machine, const char *folder, const char *path,
			  struct error *err)
{
	static struct bench_command command;
	struct bench_process process;
	char socket_path[600];
	double elapsed_ms;
	int rc;

	(void)snprintf(socket_path, sizeof(socket_path), "%s/qmp", folder);
	bench_machine_qemu(machine, &command);
	bench_command_add(&command, "-qmp unix:%s,server=on,wait=off", socket_path);
	rc = bench_process_start(&process, &command, "", err);
	if (rc == 0)
		rc = bench_process_wait(&process, 'y', GUEST_TIMEOUT_MS, &elapsed_ms, err);
	if (rc == 0)
		rc = save(socket_path, path, err);
	bench_process_end(&process);
	bench_machine_wait_disk(machine->disk);
	return rc == 0 ? 0 : error_prefix(err, "QEMU");
}
