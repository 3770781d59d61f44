/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long other clients of the control socket wait while an operation runs that takes its time: a
 * thread asks for vmm.ping, vm.info and vm.counters in turn, without a pause, while a machine of 4
 * vCPUs and 512 MiB of prefaulted memory is booted, saved, deleted and restored. The worst of all
 * answers counts.
 *
 * answers BUILD FOLDER JSON [ROUNDS]
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_machines.h"
#include "tests/bench/bench_process.h"
#include "tests/bench/bench_rows.h"
#include "tests/vmm/gateway/raw_client.h"

#define DEFAULT_ROUNDS 5
#define AIM_MS	       10.0
#define START_TRIES    100
#define START_PAUSE_US 50000

enum operation {
	NOTHING,
	BOOT,
	SNAPSHOT,
	DELETE,
	RESTORE,
	OPERATION_COUNT
};

static const char *const operation_names[] = {[BOOT] = "vm.boot",
					      [SNAPSHOT] = "vm.snapshot",
					      [DELETE] = "vm.delete",
					      [RESTORE] = "vm.restore"};

/* Written by the asking thread, read when it has ended; operation and stop are the main thread's.
 */
struct asker {
	char socket[512];
	pthread_t thread;
	_Atomic int operation;
	_Atomic bool stop;
	bool failed;
	double worst_ms[OPERATION_COUNT];
	unsigned answers[OPERATION_COUNT];
};

struct bench {
	const char *build, *folder;
	char disk[512], snapshot[512];
	unsigned rounds;
	struct bench_process vmm;
	struct asker asker;
};

/* ---- the other client ---- */

static void *ask(void *opaque)
{
	static const char *const questions[] = {"vmm.ping", "vm.info", "vm.counters"};
	struct asker *asker = opaque;
	cleanup_fd int fd = client_connect(asker->socket);
	char text[128], response[65536];

	asker->failed = fd < 0;
	for (unsigned i = 0; !asker->failed && !atomic_load(&asker->stop); i++) {
		int operation = atomic_load(&asker->operation);
		double started_ms = bench_now_ms(), took_ms;

		(void)snprintf(text, sizeof(text), "GET /api/v1/%s HTTP/1.1\r\n\r\n",
			       questions[i % 3]);
		/* There may be no machine just now: that is an answer, too. */
		asker->failed = client_exchange(fd, text, response, sizeof(response)) <= 0;
		took_ms = bench_now_ms() - started_ms;
		asker->answers[operation]++;
		if (took_ms > asker->worst_ms[operation])
			asker->worst_ms[operation] = took_ms;
	}
	return NULL;
}

/* ---- operations ---- */

static int command(struct bench *bench, enum operation operation, const char *name,
		   const char *body, struct error *err)
{
	char response[65536];
	int status;

	atomic_store(&bench->asker.operation, operation);
	status = client_request(bench->asker.socket, "PUT", name, body, response, sizeof(response));
	atomic_store(&bench->asker.operation, NOTHING);
	if (status >= 200 && status < 300)
		return 0;
	return error_set(err, -EIO, "%s: status %d: %s", name, status, client_body(response));
}

static int run_round(struct bench *bench, struct error *err)
{
	char config[2048], url[640];

	(void)snprintf(
		config, sizeof(config),
		"{\"payload\":{\"kernel\":\"%s/guests/snapshot.elf\",\"cmdline\":\"touch=4\"},"
		"\"cpus\":{\"boot_vcpus\":4,\"max_vcpus\":4},"
		"\"memory\":{\"size\":536870912,\"prefault\":true},"
		"\"disks\":[{\"path\":\"%s\",\"id\":\"root\"}],\"serial\":{\"mode\":\"Null\"}}",
		bench->build, bench->disk);
	if (command(bench, NOTHING, "vm.create", config, err) < 0 ||
	    command(bench, BOOT, "vm.boot", NULL, err) < 0 ||
	    command(bench, NOTHING, "vm.pause", NULL, err) < 0)
		return err->code;
	(void)snprintf(url, sizeof(url), "{\"destination_url\":\"file://%s\"}", bench->snapshot);
	if (command(bench, SNAPSHOT, "vm.snapshot", url, err) < 0 ||
	    command(bench, DELETE, "vm.delete", NULL, err) < 0)
		return err->code;
	(void)snprintf(url, sizeof(url), "{\"source_url\":\"file://%s\"}", bench->snapshot);
	if (command(bench, RESTORE, "vm.restore", url, err) < 0 ||
	    command(bench, DELETE, "vm.delete", NULL, err) < 0)
		return err->code;
	return bench_folder_remove(bench->snapshot, err);
}

static int measure(struct bench *bench, struct error *err)
{
	int rc = 0;

	if (pthread_create(&bench->asker.thread, NULL, ask, &bench->asker) != 0)
		return error_set(err, -EAGAIN, "cannot start a thread");
	for (unsigned round = 0; rc == 0 && round < bench->rounds; round++)
		rc = run_round(bench, err);
	atomic_store(&bench->asker.stop, true);
	pthread_join(bench->asker.thread, NULL);
	if (rc == 0 && bench->asker.failed)
		rc = error_set(err, -EIO, "the control socket did not answer");
	return rc;
}

/* ---- the whole ---- */

static int start_vmm(struct bench *bench, struct error *err)
{
	static struct bench_command words;
	char response[4096];

	bench_command_init(&words);
	bench_command_add(&words, "%s/bin/bulkhead --api-socket %s", bench->build,
			  bench->asker.socket);
	if (bench_process_start(&bench->vmm, &words, "", err) < 0)
		return err->code;
	for (unsigned i = 0; i < START_TRIES && access(bench->asker.socket, F_OK) != 0; i++)
		(void)usleep(START_PAUSE_US);
	if (client_request(bench->asker.socket, "GET", "vmm.ping", NULL, response,
			   sizeof(response)) != 200)
		return error_set(err, -EIO, "%s does not answer", bench->asker.socket);
	return 0;
}

static void add_rows(const struct bench *bench, struct bench_rows *rows)
{
	for (unsigned i = BOOT; i < OPERATION_COUNT; i++) {
		struct bench_row row = {
			.value = bench->asker.worst_ms[i],
			.unit = "ms",
			.aim = "<= 10 ms",
			.met = bench->asker.worst_ms[i] <= AIM_MS,
		};

		(void)snprintf(row.name, sizeof(row.name), "worst of %u answers during %s",
			       bench->asker.answers[i], operation_names[i]);
		bench_rows_add(rows, &row);
	}
}

int main(int argc, char **argv)
{
	static struct bench bench = {.vmm = BENCH_PROCESS_INIT};
	static struct bench_rows rows;
	struct error err = ERROR_INIT;
	int rc;

	if (argc < 4)
		return 2;
	if (!bench_machine_have_kvm())
		return BENCH_SKIPPED;
	bench.build = argv[1];
	bench.folder = argv[2];
	bench.rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : DEFAULT_ROUNDS;
	(void)snprintf(bench.asker.socket, sizeof(bench.asker.socket), "%s/api", bench.folder);
	(void)snprintf(bench.disk, sizeof(bench.disk), "%s/answers.img", bench.folder);
	(void)snprintf(bench.snapshot, sizeof(bench.snapshot), "%s/answers", bench.folder);
	rc = bench_machine_make_disk(bench.disk, &err);
	if (rc == 0)
		rc = bench_folder_remove(bench.snapshot, &err);
	if (rc == 0)
		rc = start_vmm(&bench, &err);
	if (rc == 0)
		rc = measure(&bench, &err);
	bench_process_end(&bench.vmm);
	(void)bench_folder_remove(bench.snapshot, NULL);
	(void)unlink(bench.disk);
	if (rc == 0) {
		add_rows(&bench, &rows);
		rc = bench_rows_write(&rows, argv[3], &err);
	}
	if (rc != 0)
		printf("answers: %s\n", err.message);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
