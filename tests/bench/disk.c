/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk benchmark: bulkhead-blk in its sandbox against qemu-storage-daemon's vhost-user-blk export.
 * One driver, one guest memory, one image. The peer runs twice, with each of its ways to do I/O,
 * and on each row the faster one counts. Rounds take turns; ratios are medians over rounds.
 *
 * disk [--image=PATH] [--megabytes=N] [--rounds=N] [--round-ms=N] [--direct] [--threads]
 *      [--all | --only=TEXT] [--json=FILE]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/bench/disk_load.h"
#include "tests/bench/disk_targets.h"

#define MAX_ROUNDS   101
#define RAM_BYTES    (64U << 20)
#define RAM_GPA	     0x100000U
#define RATIO_AIM    1.0
#define EXIT_SKIPPED 77

static const struct disk_workload workloads[] = {
	{"random read 4 KiB, depth 1", false, false, 4096, 1, false},
	{"random read 4 KiB, depth 32", false, false, 4096, 32, false},
	{"random write 4 KiB, depth 1", true, false, 4096, 1, false},
	{"random write 4 KiB, depth 32", true, false, 4096, 32, false},
	{"sequential read 1 MiB, depth 1", false, true, 1024 * 1024, 1, false},
	{"sequential read 1 MiB, depth 4", false, true, 1024 * 1024, 4, true},
	{"sequential write 1 MiB, depth 1", true, true, 1024 * 1024, 1, false},
	{"sequential write 1 MiB, depth 4", true, true, 1024 * 1024, 4, true},
};
#define WORKLOAD_COUNT (sizeof(workloads) / sizeof(workloads[0]))

struct options {
	struct disk_image image;
	uint64_t image_bytes;
	unsigned rounds, round_ms;
	bool threads, all;
	const char *only, *json;
};

static const char *const peer_aio[] = {"threads", "io_uring"};
#define PEER_COUNT   (sizeof(peer_aio) / sizeof(peer_aio[0]))
#define DEVICE_COUNT (PEER_COUNT + 1) /* ours is device 0 */

/* Medians; requests a second. */
struct row {
	const struct disk_workload *workload;
	const char *peer; /* how the faster one did I/O */
	double value, peer_value, ratio;
};

struct bench {
	const struct options *options;
	struct guest_ram ram;
	struct disk_buffers buffers;
	struct disk_worker worker;
	struct disk_peer peers[PEER_COUNT];
	struct row rows[WORKLOAD_COUNT];
	unsigned row_count;
};

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(values[0]), compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* One round of every device. Who begins changes: what one leaves behind hits all alike. */
static int run_round(struct bench *bench, const struct disk_workload *workload, unsigned round,
		     double rates[DEVICE_COUNT][MAX_ROUNDS], struct error *err)
{
	int status = 0;

	for (unsigned i = 0; status == 0 && i < DEVICE_COUNT; i++) {
		unsigned device = (round + i) % DEVICE_COUNT;
		struct ring_driver *ring =
			device == 0 ? &bench->worker.ring : &bench->peers[device - 1].ring;

		status = disk_load_run(ring, &bench->buffers, workload, bench->options->image_bytes,
				       bench->options->round_ms, &rates[device][round], err);
	}
	return status;
}

static void add_row(struct bench *bench, const struct disk_workload *workload,
		    double rates[DEVICE_COUNT][MAX_ROUNDS])
{
	struct row *row = &bench->rows[bench->row_count++];
	unsigned rounds = bench->options->rounds;

	*row = (struct row){.workload = workload};
	for (unsigned peer = 0; peer < PEER_COUNT; peer++) {
		double ratios[MAX_ROUNDS], ratio;

		for (unsigned i = 0; i < rounds; i++)
			ratios[i] = rates[0][i] / rates[peer + 1][i];
		ratio = median(ratios, rounds);
		if (row->peer && ratio >= row->ratio)
			continue;
		row->peer = peer_aio[peer];
		row->ratio = ratio;
		row->peer_value = median(memcpy(ratios, rates[peer + 1], sizeof(ratios)), rounds);
	}
	row->value = median(rates[0], rounds);
}

static int run_workload(struct bench *bench, const struct disk_workload *workload,
			struct error *err)
{
	static double rates[DEVICE_COUNT][MAX_ROUNDS];
	int status = 0;

	for (unsigned round = 0; status == 0 && round < bench->options->rounds; round++)
		status = run_round(bench, workload, round, rates, err);
	if (status == 0)
		add_row(bench, workload, rates);
	return status;
}

static int make_image(const struct options *options, struct error *err)
{
	static uint8_t block[1 << 20];
	cleanup_fd int fd = open(options->image.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set_errno(err, -errno, "create %s", options->image.path);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 31 + i / 4096);
	for (uint64_t at = 0; at < options->image_bytes; at += sizeof(block))
		if (pwrite(fd, block, sizeof(block), (off_t)at) != (ssize_t)sizeof(block))
			return error_set_errno(err, -errno, "write %s", options->image.path);
	return fdatasync(fd) == 0 ? 0 : error_set_errno(err, -errno, "fdatasync");
}

static bool is_wanted(const struct options *options, const struct disk_workload *workload)
{
	if (options->only)
		return strstr(workload->name, options->only) != NULL;
	return options->all || !workload->extra;
}

static int run_all(struct bench *bench, struct error *err)
{
	const struct options *options = bench->options;
	int status = disk_worker_start(&bench->worker, &options->image, &bench->ram,
				       options->threads, err);

	for (size_t i = 0; status == 0 && i < PEER_COUNT; i++)
		status = disk_peer_start(&bench->peers[i], &options->image, &bench->ram,
					 peer_aio[i], err);
	for (size_t i = 0; status == 0 && i < WORKLOAD_COUNT; i++)
		if (is_wanted(options, &workloads[i]))
			status = run_workload(bench, &workloads[i], err);
	return status;
}

static const char *row_prefix(const struct options *options)
{
	return options->image.direct ? "disk, direct: " : "disk: ";
}

static void print_rows(const struct bench *bench)
{
	printf("%-46s %14s %14s %-9s %6s  %s\n", "", "bulkhead-blk", "storage-daemon", "(aio)",
	       "ratio", "aim 1.0");
	for (unsigned i = 0; i < bench->row_count; i++) {
		const struct row *row = &bench->rows[i];

		printf("%s%-*s %12.0f/s %12.0f/s %-9s %6.2f  %s\n", row_prefix(bench->options),
		       (int)(46 - strlen(row_prefix(bench->options))), row->workload->name,
		       row->value, row->peer_value, row->peer, row->ratio,
		       row->ratio >= RATIO_AIM ? "met" : "missed");
	}
}

static int write_json(const struct bench *bench, struct error *err)
{
	cleanup_stream FILE *file = fopen(bench->options->json, "we");

	if (!file)
		return error_set_errno(err, -errno, "open %s", bench->options->json);
	(void)fprintf(file, "[\n");
	for (unsigned i = 0; i < bench->row_count; i++) {
		const struct row *row = &bench->rows[i];

		(void)fprintf(file,
			      "  {\"name\": \"%s%s\", \"value\": %.1f, \"unit\": \"requests/s\", "
			      "\"peer\": \"qemu-storage-daemon, aio=%s\", \"peer_value\": %.1f, "
			      "\"ratio\": %.3f, \"aim\": \">= 1.0\", \"met\": %s}%s\n",
			      row_prefix(bench->options), row->workload->name, row->value,
			      row->peer, row->peer_value, row->ratio,
			      row->ratio >= RATIO_AIM ? "true" : "false",
			      i + 1 < bench->row_count ? "," : "");
	}
	(void)fprintf(file, "]\n");
	return 0;
}

enum option_code {
	IMAGE = 1,
	MEGABYTES,
	ROUNDS,
	ROUND_MS,
	DIRECT,
	THREADS,
	ALL,
	ONLY,
	JSON
};

static bool parse_option(int code, const char *argument, struct options *options)
{
	switch (code) {
	case IMAGE:
		options->image.path = argument;
		return true;
	case MEGABYTES:
		options->image_bytes = strtoull(argument, NULL, 10) << 20;
		return options->image_bytes > 0;
	case ROUNDS:
		options->rounds = (unsigned)strtoul(argument, NULL, 10);
		return options->rounds > 0 && options->rounds <= MAX_ROUNDS;
	case ROUND_MS:
		options->round_ms = (unsigned)strtoul(argument, NULL, 10);
		return options->round_ms > 0;
	case DIRECT:
		options->image.direct = true;
		return true;
	case THREADS:
		options->threads = true;
		return true;
	case ALL:
		options->all = true;
		return true;
	case ONLY:
		options->only = argument;
		return true;
	case JSON:
		options->json = argument;
		return true;
	default:
		return false;
	}
}

static bool parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"image", required_argument, NULL, IMAGE},
		{"megabytes", required_argument, NULL, MEGABYTES},
		{"rounds", required_argument, NULL, ROUNDS},
		{"round-ms", required_argument, NULL, ROUND_MS},
		{"direct", no_argument, NULL, DIRECT},
		{"threads", no_argument, NULL, THREADS},
		{"all", no_argument, NULL, ALL},
		{"only", required_argument, NULL, ONLY},
		{"json", required_argument, NULL, JSON},
		{NULL, 0, NULL, 0},
	};
	int code;

	while ((code = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (!parse_option(code, optarg, options))
			return false;
	return optind == argc;
}

int main(int argc, char **argv)
{
	struct options options = {.image = {.path = "build/bench-disk.img"},
				  .image_bytes = UINT64_C(256) << 20,
				  .rounds = 5,
				  .round_ms = 300};
	static struct bench bench;
	struct error err = ERROR_INIT;
	int status;

	if (!parse_options(argc, argv, &options)) {
		(void)fprintf(stderr, "disk: unknown option or bad value\n");
		return 2;
	}
	bench.options = &options;
	guest_ram_init(&bench.ram, RAM_GPA, RAM_BYTES);
	disk_buffers_init(&bench.buffers, &bench.ram);
	status = make_image(&options, &err);
	if (status == 0) {
		status = run_all(&bench, &err);
		for (size_t i = 0; i < PEER_COUNT; i++)
			disk_peer_stop(&bench.peers[i]);
		disk_worker_stop(&bench.worker);
		(void)unlink(options.image.path);
	}
	if (status == 0 && options.json)
		status = write_json(&bench, &err);
	if (status == 0)
		print_rows(&bench);
	else
		(void)fprintf(stderr, "disk: %s\n", err.message);
	guest_ram_destroy(&bench.ram);
	if (status == -ENOENT)
		return EXIT_SKIPPED;
	return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
