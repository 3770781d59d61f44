/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clones: many VMs from one snapshot of 512 MiB of which the guest touched 64, on demand, each with
 * a disk of its own. How many a second from the first start until the last one's guest runs, and
 * what an idle one takes, guest memory included. QEMU -incoming likewise.
 *
 * clones BUILD FOLDER JSON [COUNT]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_machines.h"
#include "tests/bench/bench_memory.h"
#include "tests/bench/bench_rows.h"
#include "tests/bench/bench_saved.h"

#define MEMORY_MIB	 512
#define TOUCH_MIB	 64
#define DEFAULT_COUNT	 16
#define MAX_COUNT	 64
#define ROUNDS		 3
#define GUEST_TIMEOUT_MS 120000
#define SETTLE_US	 1000000

enum contender {
	BULKHEAD,
	QEMU,
	CONTENDER_COUNT
};

struct bench {
	const char *build, *folder;
	unsigned contenders, count;
	char snapshot[512], migration[512];
	char disks[MAX_COUNT][512];
	struct bench_process clones[MAX_COUNT];
	double per_second[CONTENDER_COUNT][ROUNDS], each_kib[CONTENDER_COUNT][ROUNDS];
};

static int start_clone(struct bench *bench, enum contender contender, unsigned i, struct error *err)
{
	static struct bench_command command;
	const struct bench_machine machine = {.build = bench->build,
					      .guest = "answer",
					      .cmdline = BENCH_SAVED_CMDLINE(TOUCH_MIB),
					      .memory_mib = MEMORY_MIB,
					      .disk = bench->disks[i]};

	if (contender == BULKHEAD)
		bench_machine_bulkhead_restore(&machine, bench->snapshot, true, &command);
	else
		bench_machine_qemu_incoming(&machine, bench->migration, &command);
	return bench_process_start(&bench->clones[i], &command, BENCH_SAVED_INPUT, err);
}

static int sum_memory(const struct bench *bench, double *each_kib, struct error *err)
{
	struct bench_memory memory;
	double kib = 0;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < bench->count; i++) {
		rc = bench_memory_of_tree(bench->clones[i].pid, false, &memory, err);
		kib += memory.own_kib + memory.guest_kib;
	}
	*each_kib = kib / bench->count;
	return rc;
}

/* All at once: the machine decides how many of them make progress at a time. */
static int run_clones(struct bench *bench, enum contender contender, unsigned round,
		      struct error *err)
{
	double started_ms = bench_now_ms(), elapsed_ms;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < bench->count; i++)
		rc = start_clone(bench, contender, i, err);
	for (unsigned i = 0; rc == 0 && i < bench->count; i++)
		rc = bench_process_wait(&bench->clones[i], '1', GUEST_TIMEOUT_MS, &elapsed_ms, err);
	bench->per_second[contender][round] = bench->count * 1e3 / (bench_now_ms() - started_ms);
	if (rc == 0) {
		(void)usleep(SETTLE_US);
		rc = sum_memory(bench, &bench->each_kib[contender][round], err);
	}
	for (unsigned i = 0; i < bench->count; i++) {
		bench_process_end(&bench->clones[i]);
		bench_machine_wait_disk(bench->disks[i]);
	}
	return rc == 0 ? 0 : error_prefix(err, "%s", contender == QEMU ? "QEMU" : "Bulkhead");
}

static int prepare(struct bench *bench, struct error *err)
{
	struct bench_machine machine = {.build = bench->build,
					.guest = "answer",
					.cmdline = BENCH_SAVED_CMDLINE(TOUCH_MIB),
					.memory_mib = MEMORY_MIB,
					.disk = bench->disks[0]};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < bench->count; i++) {
		bench->clones[i] = (struct bench_process)BENCH_PROCESS_INIT;
		(void)snprintf(bench->disks[i], sizeof(bench->disks[i]), "%s/clone-%u.img",
			       bench->folder, i);
		rc = bench_machine_make_disk(bench->disks[i], err);
	}
	if (rc == 0)
		rc = bench_saved_snapshot(bench->build, bench->snapshot, MEMORY_MIB, TOUCH_MIB,
					  err);
	if (rc == 0 && bench->contenders > QEMU)
		rc = bench_saved_migration(&machine, bench->folder, bench->migration, err);
	return rc;
}

static void add_row(const struct bench *bench, struct bench_rows *rows, const char *name,
		    const char *unit, double values[][ROUNDS], bool more_is_better)
{
	struct bench_row row = {
		.value = bench_median(values[BULKHEAD], ROUNDS),
		.unit = unit,
		.aim = "none",
		.met = true,
	};

	(void)snprintf(row.name, sizeof(row.name), "%s", name);
	if (bench->contenders > QEMU) {
		row.peer = "QEMU -incoming";
		row.peer_value = bench_median(values[QEMU], ROUNDS);
		row.ratio = bench_median_ratio(values[BULKHEAD], values[QEMU], ROUNDS);
		row.aim = more_is_better ? "> 1.0" : "< 1.0";
		row.met = more_is_better ? row.ratio > 1.0 : row.ratio < 1.0;
	}
	bench_rows_add(rows, &row);
}

static int run(struct bench *bench, const char *json, struct error *err)
{
	static struct bench_rows rows;
	int rc = prepare(bench, err);

	for (unsigned round = 0; rc == 0 && round < ROUNDS; round++)
		for (unsigned i = 0; rc == 0 && i < bench->contenders; i++)
			rc = run_clones(bench, i, round, err);
	for (unsigned i = 0; i < bench->count; i++)
		(void)unlink(bench->disks[i]);
	(void)unlink(bench->migration);
	(void)bench_folder_remove(bench->snapshot, NULL);
	if (rc != 0)
		return rc;
	add_row(bench, &rows, "clones on demand, 512 MiB", "/s", bench->per_second, true);
	add_row(bench, &rows, "memory of an idle clone, its guest's included", "KiB",
		bench->each_kib, false);
	return bench_rows_write(&rows, json, err);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	struct error err = ERROR_INIT;
	int rc;

	if (argc < 4)
		return 2;
	bench.build = argv[1];
	bench.folder = argv[2];
	bench.count = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : DEFAULT_COUNT;
	if (bench.count < 1 || bench.count > MAX_COUNT)
		return 2;
	if (!bench_machine_have_kvm())
		return BENCH_SKIPPED;
	bench.contenders = bench_machine_have_qemu() ? CONTENDER_COUNT : QEMU;
	(void)snprintf(bench.snapshot, sizeof(bench.snapshot), "%s/snapshot", bench.folder);
	(void)snprintf(bench.migration, sizeof(bench.migration), "%s/migration", bench.folder);
	rc = run(&bench, argv[3], &err);
	if (rc == -EACCES)
		printf("skip: %s\n", err.message);
	else if (rc != 0)
		printf("clones: %s\n", err.message);
	return rc == 0 ? EXIT_SUCCESS : rc == -EACCES ? BENCH_SKIPPED : EXIT_FAILURE;
}
