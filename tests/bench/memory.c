/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of an idle VM: all its processes, without the guest's own memory, once its guest has
 * halted; and QEMU microvm's in the same state.
 *
 * memory BUILD FOLDER JSON
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/bench_machines.h"
#include "tests/bench/bench_memory.h"
#include "tests/bench/bench_rows.h"

#define AIM_KIB		 (5 * 1024.0)
#define GUEST_TIMEOUT_MS 20000
#define SETTLE_US	 500000

static int measure(const char *title, const struct bench_command *command, const char *disk,
		   struct bench_memory *memory, struct error *err)
{
	struct bench_process process;
	double elapsed_ms;
	int rc = bench_process_start(&process, command, "", err);

	if (rc == 0)
		rc = bench_process_wait(&process, '1', GUEST_TIMEOUT_MS, &elapsed_ms, err);
	if (rc == 0) {
		(void)usleep(SETTLE_US);
		printf("%s:\n", title);
		rc = bench_memory_of_tree(process.pid, true, memory, err);
	}
	bench_process_end(&process);
	bench_machine_wait_disk(disk);
	return rc == 0 ? 0 : error_prefix(err, "%s", title);
}

static int measure_all(const struct bench_machine *machine, struct bench_rows *rows,
		       struct error *err)
{
	static struct bench_command command;
	struct bench_row row = {
		.name = "memory of all processes of an idle VM, without guest memory",
		.unit = "KiB",
		.aim = "<= 5120 KiB"};
	struct bench_memory ours = {0}, qemu = {0};
	int rc;

	bench_machine_bulkhead(machine, &command);
	rc = measure("Bulkhead", &command, machine->disk, &ours, err);
	if (rc != 0)
		return rc;
	row.value = ours.own_kib;
	row.met = ours.own_kib <= AIM_KIB;
	if (bench_machine_have_qemu()) {
		bench_machine_qemu(machine, &command);
		/* In a memfd, so that guest memory can be told from QEMU's own. */
		bench_command_add(&command,
				  "-object memory-backend-memfd,id=ram,size=%uM,share=on"
				  " -machine memory-backend=ram",
				  machine->memory_mib);
		rc = measure("QEMU microvm", &command, machine->disk, &qemu, err);
		if (rc != 0)
			return rc;
		row.peer = "QEMU microvm";
		row.peer_value = qemu.own_kib;
		row.ratio = row.value / row.peer_value;
	}
	bench_rows_add(rows, &row);
	return 0;
}

int main(int argc, char **argv)
{
	static struct bench_rows rows;
	struct error err = ERROR_INIT;
	struct bench_machine machine = {.guest = "first", .memory_mib = 128};
	char disk[512];
	int rc;

	if (argc < 4)
		return 2;
	if (!bench_machine_have_kvm())
		return BENCH_SKIPPED;
	(void)snprintf(disk, sizeof(disk), "%s/memory.img", argv[2]);
	machine.build = argv[1];
	machine.disk = disk;
	rc = bench_machine_make_disk(disk, &err);
	if (rc == 0)
		rc = measure_all(&machine, &rows, &err);
	(void)unlink(disk);
	if (rc == 0)
		rc = bench_rows_write(&rows, argv[3], &err);
	if (rc == -EACCES)
		printf("skip: %s\n", err.message);
	else if (rc != 0)
		printf("memory: %s\n", err.message);
	return rc == 0 ? EXIT_SUCCESS : rc == -EACCES ? BENCH_SKIPPED : EXIT_FAILURE;
}
