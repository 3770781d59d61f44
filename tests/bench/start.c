/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From fork and exec to the guest's first instruction: Bulkhead with blk, rng and console workers
 * in their sandboxes, the floor (floor.c), and QEMU microvm with the same devices. Rounds in turn.
 *
 * start BUILD FOLDER JSON [ROUNDS]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/bench_machines.h"
#include "tests/bench/bench_rows.h"

#define DEFAULT_ROUNDS	 21
#define FLOOR_FACTOR	 2.0
#define FLOOR_MORE_MS	 10.0
#define GUEST_TIMEOUT_MS 20000

enum contender {
	FLOOR,
	BULKHEAD,
	QEMU,
	CONTENDER_COUNT
};

struct bench {
	struct bench_command commands[CONTENDER_COUNT];
	double times_ms[CONTENDER_COUNT][BENCH_MAX_ROUNDS];
	unsigned contenders; /* without QEMU one less */
	unsigned rounds;
	char disk[512];
};

static int measure(struct bench *bench, unsigned contender, unsigned round, struct error *err)
{
	struct bench_process process;
	int rc = bench_process_start(&process, &bench->commands[contender], "", err);

	if (rc == 0)
		rc = bench_process_wait(&process, '1', GUEST_TIMEOUT_MS,
					&bench->times_ms[contender][round], err);
	bench_process_end(&process);
	bench_machine_wait_disk(bench->disk);
	return rc == 0 ? 0 : error_prefix(err, "%s", bench->commands[contender].argv[0]);
}

/* One round of each before the first that counts: files are then in the page cache for all. */
static int measure_all(struct bench *bench, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < bench->contenders; i++)
		rc = measure(bench, i, 0, err);
	for (unsigned round = 0; rc == 0 && round < bench->rounds; round++)
		for (unsigned i = 0; rc == 0 && i < bench->contenders; i++)
			rc = measure(bench, (round + i) % bench->contenders, round, err);
	return rc;
}

static struct bench_row make_row(const struct bench *bench, enum contender peer)
{
	return (struct bench_row){
		.name = "start to first guest instruction",
		.value = bench_median(bench->times_ms[BULKHEAD], bench->rounds),
		.unit = "ms",
		.peer_value = bench_median(bench->times_ms[peer], bench->rounds),
		.ratio = bench_median_ratio(bench->times_ms[BULKHEAD], bench->times_ms[peer],
					    bench->rounds),
	};
}

static void add_rows(const struct bench *bench, struct bench_rows *rows)
{
	struct bench_row row = make_row(bench, FLOOR);

	row.peer = "floor: minimal KVM program";
	row.aim = "<= 2.0 x peer + 10 ms";
	row.met = row.value <= FLOOR_FACTOR * row.peer_value + FLOOR_MORE_MS;
	bench_rows_add(rows, &row);
	if (bench->contenders <= QEMU)
		return;
	row = make_row(bench, QEMU);
	row.peer = "QEMU microvm";
	row.aim = "< 1.0";
	row.met = row.ratio < 1.0;
	bench_rows_add(rows, &row);
}

static void make_commands(struct bench *bench, const char *build)
{
	const struct bench_machine machine = {
		.build = build, .guest = "first", .memory_mib = 128, .disk = bench->disk};

	bench_command_init(&bench->commands[FLOOR]);
	bench_command_add(&bench->commands[FLOOR], "%s/tests/bench/floor", build);
	bench_machine_bulkhead(&machine, &bench->commands[BULKHEAD]);
	bench_machine_qemu(&machine, &bench->commands[QEMU]);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	static struct bench_rows rows;
	struct error err = ERROR_INIT;
	int rc;

	if (argc < 4)
		return 2;
	if (!bench_machine_have_kvm())
		return BENCH_SKIPPED;
	bench.rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : DEFAULT_ROUNDS;
	if (bench.rounds < 1 || bench.rounds > BENCH_MAX_ROUNDS)
		return 2;
	bench.contenders = bench_machine_have_qemu() ? CONTENDER_COUNT : QEMU;
	(void)snprintf(bench.disk, sizeof(bench.disk), "%s/start.img", argv[2]);
	rc = bench_machine_make_disk(bench.disk, &err);
	make_commands(&bench, argv[1]);
	if (rc == 0)
		rc = measure_all(&bench, &err);
	(void)unlink(bench.disk);
	if (rc == 0) {
		add_rows(&bench, &rows);
		rc = bench_rows_write(&rows, argv[3], &err);
	}
	if (rc != 0)
		printf("start: %s\n", err.message);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
