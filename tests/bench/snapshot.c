/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of a guest with 1 GiB of memory of which it touched 256 MiB. Its rate against a plain
 * copy of as many bytes from memory to a file beside it, flushed to the disk, and against QEMU's
 * migration to a file; and how long everything but memory takes. The VM is the core's own objects
 * in this process, with the real broker and workers.
 *
 * snapshot BUILD FOLDER JSON [ROUNDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_machines.h"
#include "tests/bench/bench_qmp.h"
#include "tests/bench/bench_rows.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"

#define MEMORY_MIB	 1024
#define TOUCH_MIB	 256
#define CMDLINE		 "touch=256"
#define DEFAULT_ROUNDS	 7
#define COPY_AIM	 0.8
#define QEMU_AIM	 1.0
#define REST_AIM_MS	 20.0
#define WRITE_BYTES	 (1 << 20)
#define GUEST_TIMEOUT_MS 60000
#define MIB		 (1024.0 * 1024.0)

struct bench {
	struct vm_under_test vm;
	struct bench_process qemu;
	int qmp_fd; /* -1: no QEMU */
	const char *folder;
	char disk[512]; /* QEMU's */
	uint8_t *source;
	size_t source_bytes; /* as much as a snapshot stores */
	unsigned rounds;
	double ours_s[BENCH_MAX_ROUNDS], copy_s[BENCH_MAX_ROUNDS], qemu_s[BENCH_MAX_ROUNDS];
	double rest_ms[BENCH_MAX_ROUNDS], commit_ms[BENCH_MAX_ROUNDS];
};

static const char *path_of(const struct bench *bench, const char *name, char path[512])
{
	(void)snprintf(path, 512, "%s/%s", bench->folder, name);
	return path;
}

/* ---- each side
 * ------------------------------------------------------------------------------ */

static int snapshot_once(struct bench *bench, unsigned round, struct error *err)
{
	struct vm_under_test *vm = &bench->vm;
	struct snapshot_status status;
	double started_ms, paused_ms, ended_ms;
	char path[512];
	int rc = vm_under_test_resume(vm);

	path_of(bench, "snapshot", path);
	started_ms = bench_now_ms();
	if (rc == 0)
		rc = vm_under_test_pause(vm);
	paused_ms = bench_now_ms();
	if (rc == 0)
		rc = vm_under_test_snapshot(vm, path);
	ended_ms = bench_now_ms();
	if (rc != 0)
		return error_set(err, rc, "snapshot: %s", vm->result.message);
	vm_snapshot_status(vm->vm, &status);
	bench->source_bytes = status.stored_bytes;
	bench->ours_s[round] = (ended_ms - paused_ms) / 1e3;
	bench->commit_ms[round] = (double)status.commit_ns / 1e6;
	bench->rest_ms[round] =
		ended_ms - started_ms - (double)status.memory_ns / 1e6 - bench->commit_ms[round];
	return bench_folder_remove(path, err);
}

static int copy_once(struct bench *bench, unsigned round, struct error *err)
{
	char path[512];
	double started_ms = bench_now_ms();
	cleanup_fd int fd =
		open(path_of(bench, "copy", path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set_errno(err, -errno, "create %s", path);
	for (size_t at = 0; at < bench->source_bytes; at += WRITE_BYTES) {
		size_t left = bench->source_bytes - at;
		size_t bytes = left < WRITE_BYTES ? left : WRITE_BYTES;

		if (write(fd, bench->source + at, bytes) != (ssize_t)bytes)
			return error_set_errno(err, -errno, "write %s", path);
	}
	if (fdatasync(fd) != 0)
		return error_set_errno(err, -errno, "flush %s", path);
	bench->copy_s[round] = (bench_now_ms() - started_ms) / 1e3;
	(void)unlink(path);
	return 0;
}

/* Between two migrations it has to run: the first leaves its disks closed. */
static int qemu_once(struct bench *bench, unsigned round, struct error *err)
{
	double started_ms;
	char path[512];
	int rc = bench_qmp_command(bench->qmp_fd, "cont", "", err);

	if (rc == 0)
		rc = bench_qmp_command(bench->qmp_fd, "stop", "", err);
	started_ms = bench_now_ms();
	if (rc == 0)
		rc = bench_qmp_save(bench->qmp_fd, path_of(bench, "migration", path), err);
	bench->qemu_s[round] = (bench_now_ms() - started_ms) / 1e3;
	(void)unlink(path);
	return rc == 0 ? 0 : error_prefix(err, "QEMU");
}

/* ---- before and after
 * ----------------------------------------------------------------------- */

static int start_vm(struct bench *bench, struct error *err)
{
	struct vm_under_test *vm = &bench->vm;
	const struct vm_under_test_machine machine = {
		.guest = "answer",
		.cmdline = CMDLINE,
		.cpus = 1,
		.memory_bytes = (uint64_t)MEMORY_MIB << 20,
	};
	int rc = vm_under_test_boot_machine(vm, &machine);

	if (rc == 0 && !vm_under_test_wait_text(vm, "ready", 0))
		return error_set(err, -ETIMEDOUT, "no word from the guest");
	if (rc == 0)
		rc = vm_under_test_pause(vm);
	return rc == 0 ? 0 : error_set(err, rc, "VM: %s", vm->result.message);
}

static int start_qemu(struct bench *bench, const char *build, struct error *err)
{
	static struct bench_command command;
	const struct bench_machine machine = {.build = build,
					      .guest = "answer",
					      .cmdline = CMDLINE,
					      .memory_mib = MEMORY_MIB,
					      .disk = bench->disk};
	char path[512];
	double elapsed_ms;
	int rc;

	bench->qmp_fd = -1;
	if (!bench_machine_have_qemu())
		return 0;
	bench_machine_qemu(&machine, &command);
	bench_command_add(&command, "-qmp unix:%s,server=on,wait=off", path_of(bench, "qmp", path));
	rc = bench_machine_make_disk(bench->disk, err);
	if (rc == 0)
		rc = bench_process_start(&bench->qemu, &command, "", err);
	if (rc == 0)
		rc = bench_process_wait(&bench->qemu, 'y', GUEST_TIMEOUT_MS, &elapsed_ms, err);
	if (rc == 0)
		bench->qmp_fd = bench_qmp_connect(path, err);
	return rc == 0 && bench->qmp_fd >= 0 ? 0 : error_prefix(err, "QEMU");
}

static int make_source(struct bench *bench, struct error *err)
{
	bench->source = mmap(NULL, bench->source_bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (bench->source == MAP_FAILED)
		return error_set_errno(err, -ENOMEM, "memory to copy from");
	memset(bench->source, 0x5a, bench->source_bytes);
	return 0;
}

static int run_round(struct bench *bench, unsigned round, struct error *err)
{
	int rc = snapshot_once(bench, round, err);

	if (rc == 0)
		rc = copy_once(bench, round, err);
	if (rc == 0 && bench->qmp_fd >= 0)
		rc = qemu_once(bench, round, err);
	return rc;
}

static int measure_all(struct bench *bench, const char *build, struct error *err)
{
	int rc = start_vm(bench, err);

	if (rc == 0)
		rc = start_qemu(bench, build, err);
	if (rc == 0)
		rc = snapshot_once(bench, 0, err); /* tells how much there is to copy */
	if (rc == 0)
		rc = make_source(bench, err);
	/* The first round is not counted. */
	for (unsigned round = 0; rc == 0 && round <= bench->rounds; round++)
		rc = run_round(bench, round ? round - 1 : 0, err);
	return rc;
}

static void add_rows(const struct bench *bench, struct bench_rows *rows)
{
	double mib = (double)bench->source_bytes / MIB;
	struct bench_row row = {
		.name = "snapshot of 1 GiB, 256 MiB touched",
		.value = mib / bench_median(bench->ours_s, bench->rounds),
		.unit = "MiB/s",
		.peer = "plain copy to the same disk, flushed",
		.peer_value = mib / bench_median(bench->copy_s, bench->rounds),
		.ratio = bench_median_ratio(bench->copy_s, bench->ours_s, bench->rounds),
		.aim = ">= 0.8",
	};

	row.met = row.ratio >= COPY_AIM;
	bench_rows_add(rows, &row);
	if (bench->qmp_fd >= 0) {
		row.peer = "QEMU migration to a file, flushed";
		row.peer_value = mib / bench_median(bench->qemu_s, bench->rounds);
		row.ratio = bench_median_ratio(bench->qemu_s, bench->ours_s, bench->rounds);
		row.aim = ">= 1.0";
		row.met = row.ratio >= QEMU_AIM;
		bench_rows_add(rows, &row);
	}
	row = (struct bench_row){
		.name = "snapshot: stop, quiesce, workers' and KVM's state, resume",
		.value = bench_median(bench->rest_ms, bench->rounds),
		.unit = "ms",
		.aim = "<= 20 ms",
	};
	row.met = row.value <= REST_AIM_MS;
	bench_rows_add(rows, &row);
	printf("  of each snapshot %.1f ms were its commit: small files and directories flushed, "
	       "the manifest renamed\n",
	       bench_median(bench->commit_ms, bench->rounds));
}

static int run(struct bench *bench, char **argv, struct error *err)
{
	static struct bench_rows rows;
	int rc = measure_all(bench, argv[1], err);

	bench_process_end(&bench->qemu);
	(void)unlink(bench->disk);
	if (rc != 0)
		return rc;
	add_rows(bench, &rows);
	return bench_rows_write(&rows, argv[3], err);
}

int main(int argc, char **argv)
{
	static struct bench bench = {.qmp_fd = -1, .qemu = BENCH_PROCESS_INIT};
	struct error err = ERROR_INIT;
	int rc;

	if (argc < 4)
		return 2;
	if (!vm_under_test_possible())
		return BENCH_SKIPPED;
	bench.folder = argv[2];
	bench.rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : DEFAULT_ROUNDS;
	if (bench.rounds < 1 || bench.rounds > BENCH_MAX_ROUNDS)
		return 2;
	(void)path_of(&bench, "qemu.img", bench.disk);
	vm_under_test_init(&bench.vm);
	rc = run(&bench, argv, &err);
	vm_under_test_destroy(&bench.vm);
	fd_close(&bench.qmp_fd);
	if (rc != 0)
		printf("snapshot: %s\n", err.message);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
