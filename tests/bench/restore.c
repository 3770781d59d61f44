/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From fork and exec to the first instruction of a restored guest, at three sizes of memory: on
 * demand, against a fresh start of the same configuration, and against QEMU -incoming. The guest
 * was saved while it waited for a byte on its serial port, which waits there when it runs again.
 *
 * restore BUILD FOLDER JSON [ROUNDS [copy]]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_machines.h"
#include "tests/bench/bench_rows.h"
#include "tests/bench/bench_saved.h"

#define DEFAULT_ROUNDS	 15
#define QEMU_ROUNDS	 3 /* it takes seconds where the others take milliseconds */
#define FRESH_AIM	 1.3
#define FLAT_AIM	 1.3
#define GUEST_TIMEOUT_MS 60000
#define SIZE_COUNT	 3

/* An eighth of the memory was touched: more memory, more to restore. */
static const unsigned memory_mib[SIZE_COUNT] = {128, 1024, 4096};

enum contender {
	FRESH,
	RESTORE,
	QEMU,
	CONTENDER_COUNT
};

struct bench {
	const char *build, *folder;
	bool on_demand;
	unsigned contenders, rounds;
	char disk[512], snapshot[512], migration[512];
	struct bench_command commands[CONTENDER_COUNT];
	double times_ms[SIZE_COUNT][CONTENDER_COUNT][BENCH_MAX_ROUNDS];
};

/* ---- what is restored
 * ----------------------------------------------------------------------- */

static int prepare(struct bench *bench, unsigned size, struct error *err)
{
	char cmdline[32];
	struct bench_machine machine = {.build = bench->build,
					.guest = "answer",
					.cmdline = cmdline,
					.memory_mib = memory_mib[size],
					.disk = bench->disk};
	int rc = bench_saved_snapshot(bench->build, bench->snapshot, memory_mib[size],
				      memory_mib[size] / 8, err);

	(void)snprintf(cmdline, sizeof(cmdline), "touch=%u", memory_mib[size] / 8);
	if (rc == 0 && bench->contenders > QEMU)
		rc = bench_saved_migration(&machine, bench->folder, bench->migration, err);
	bench_machine_bulkhead_restore(&machine, bench->snapshot, bench->on_demand,
				       &bench->commands[RESTORE]);
	bench_machine_qemu_incoming(&machine, bench->migration, &bench->commands[QEMU]);
	machine.guest = "first";
	machine.cmdline = NULL;
	bench_machine_bulkhead(&machine, &bench->commands[FRESH]);
	return rc;
}

/* ---- measuring
 * ------------------------------------------------------------------------------ */

static int measure(struct bench *bench, unsigned contender, double *elapsed_ms, struct error *err)
{
	struct bench_process process;
	int rc = bench_process_start(&process, &bench->commands[contender], BENCH_SAVED_INPUT, err);

	if (rc == 0)
		rc = bench_process_wait(&process, '1', GUEST_TIMEOUT_MS, elapsed_ms, err);
	bench_process_end(&process);
	bench_machine_wait_disk(bench->disk);
	return rc == 0 ? 0 : error_prefix(err, "%s", bench->commands[contender].argv[0]);
}

static unsigned rounds_of(const struct bench *bench, unsigned contender)
{
	return contender == QEMU && bench->rounds > QEMU_ROUNDS ? QEMU_ROUNDS : bench->rounds;
}

/* The first round is not counted. */
static int measure_size(struct bench *bench, unsigned size, struct error *err)
{
	int rc = prepare(bench, size, err);

	for (unsigned round = 0; rc == 0 && round <= bench->rounds; round++)
		for (unsigned i = 0; rc == 0 && i < bench->contenders; i++) {
			unsigned contender = (round + i) % bench->contenders;

			if (round <= rounds_of(bench, contender))
				rc = measure(
					bench, contender,
					&bench->times_ms[size][contender][round ? round - 1 : 0],
					err);
		}
	return rc;
}

static void name_row(const struct bench *bench, struct bench_row *row, unsigned size)
{
	(void)snprintf(row->name, sizeof(row->name), "restore %s, %u MiB",
		       bench->on_demand ? "on demand" : "by copy", memory_mib[size]);
	row->unit = "ms";
	row->value = bench_median(bench->times_ms[size][RESTORE], bench->rounds);
}

static void add_row(const struct bench *bench, struct bench_rows *rows, unsigned size,
		    enum contender peer)
{
	const double *theirs = bench->times_ms[size][peer];
	unsigned rounds = rounds_of(bench, peer);
	struct bench_row row = {
		.peer = peer == QEMU ? "QEMU -incoming" : "fresh start of the same configuration",
		.peer_value = bench_median(theirs, rounds),
		.ratio = bench_median_ratio(bench->times_ms[size][RESTORE], theirs, rounds),
		.aim = peer == QEMU ? "< 1.0" : "<= 1.3",
	};

	name_row(bench, &row, size);
	row.met = peer == QEMU ? row.ratio < 1.0 : row.ratio <= FRESH_AIM;
	bench_rows_add(rows, &row);
}

static double against_fresh(const struct bench *bench, unsigned size)
{
	return bench_median_ratio(bench->times_ms[size][RESTORE], bench->times_ms[size][FRESH],
				  bench->rounds);
}

/*
 * Flat: what has most to restore against what has least. The two were not measured at the same
 * moment, but each beside fresh starts, which know nothing of sizes: their ratios are compared.
 */
static void add_flat_row(const struct bench *bench, struct bench_rows *rows)
{
	struct bench_row row = {.peer = "the same at 128 MiB", .aim = "<= 1.3 (flat)"};

	name_row(bench, &row, SIZE_COUNT - 1);
	row.peer_value = bench_median(bench->times_ms[0][RESTORE], bench->rounds);
	row.ratio = against_fresh(bench, SIZE_COUNT - 1) / against_fresh(bench, 0);
	row.met = row.ratio <= FLAT_AIM;
	bench_rows_add(rows, &row);
}

static int run(struct bench *bench, const char *json, struct error *err)
{
	static struct bench_rows rows;
	int rc = bench_machine_make_disk(bench->disk, err);

	for (unsigned size = 0; rc == 0 && size < SIZE_COUNT; size++)
		rc = measure_size(bench, size, err);
	(void)unlink(bench->disk);
	(void)unlink(bench->migration);
	(void)bench_folder_remove(bench->snapshot, NULL);
	if (rc != 0)
		return rc;
	for (unsigned size = 0; size < SIZE_COUNT; size++)
		for (unsigned peer = 0; peer < bench->contenders; peer++)
			if (peer != RESTORE)
				add_row(bench, &rows, size, peer);
	add_flat_row(bench, &rows);
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
	bench.rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : DEFAULT_ROUNDS;
	bench.on_demand = argc < 6 || strcmp(argv[5], "copy") != 0;
	if (bench.rounds < 1 || bench.rounds > BENCH_MAX_ROUNDS)
		return 2;
	if (!bench_machine_have_kvm())
		return BENCH_SKIPPED;
	bench.contenders = bench_machine_have_qemu() ? CONTENDER_COUNT : QEMU;
	(void)snprintf(bench.disk, sizeof(bench.disk), "%s/restore.img", bench.folder);
	(void)snprintf(bench.snapshot, sizeof(bench.snapshot), "%s/snapshot", bench.folder);
	(void)snprintf(bench.migration, sizeof(bench.migration), "%s/migration", bench.folder);
	rc = run(&bench, argv[3], &err);
	if (rc != 0)
		printf("restore: %s\n", err.message);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
