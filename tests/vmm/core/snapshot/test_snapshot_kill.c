/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 of the core, the broker, the pager or a worker at a random instant of snapshots and
 * restores: what has a manifest is whole and starts, and no process is left. The VM is run by this
 * program, started again as a child; a round's random numbers follow from its number, so that it
 * can be repeated (BULKHEAD_KILL_FIRST, BULKHEAD_KILL_ROUNDS).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scratch_folder.h"
#include "tests/vmm/core/snapshot/vm_under_test.h"
#include "vmm/core/control/vm_parts.h"
#include "vmm/core/snapshot/inspect.h"
#include "vmm/core/snapshot/pager_client.h"

#define ROUNDS_DEFAULT	  20
#define MAX_SNAPSHOTS	  64 /* of one VM */
#define VICTIMS		  6
#define VICTIM_CORE	  0
#define VICTIM_BROKER	  1
#define VICTIM_PAGER	  5
#define LATEST_KILL_US	  700000
#define CHILD_TIMEOUT_MS  60000
#define ORPHAN_TIMEOUT_MS 10000

static const char *const victim_names[VICTIMS] = {"core", "broker",  "root",
						  "rng",  "console", "pager"};
static const char *program;

/* ---- the child: a VM that is saved and restored over and over ---- */

/* One line: the pids of all processes, and the folder. */
static void report(struct vm_under_test *test)
{
	printf("%d %d %d %d %d %d %s\n", getpid(), broker_client_welcome(test->broker)->pid,
	       vm_under_test_worker_pid(test, "root"), vm_under_test_worker_pid(test, "rng"),
	       vm_under_test_worker_pid(test, "console"),
	       test->vm->pager ? pager_client_pid(test->vm->pager) : 0, test->folder);
	(void)fflush(stdout);
}

/* A failure is what this child waits for: it ends as a core that crashed. */
static void need(bool good)
{
	if (!good)
		_exit(1);
}

static int run_vm(void)
{
	static struct vm_under_test test;
	bool on_demand = access("/dev/userfaultfd", R_OK | W_OK) == 0;
	char name[32], path[128];

	vm_under_test_init(&test);
	vm_under_test_boot(&test, "snapshot", "touch=4 interval_ms=10", 1);
	need(vm_under_test_wait_text(&test, "TICK", 1));
	report(&test);
	for (unsigned round = 0; round < MAX_SNAPSHOTS; round++) {
		(void)snprintf(name, sizeof(name), "snapshot-%u", round);
		vm_under_test_path(&test, name, path, sizeof(path));
		need(vm_under_test_pause(&test) == 0);
		need(vm_under_test_snapshot(&test, path) == 0);
		if (round % 2) {
			vm_under_test_end_vm(&test);
			need(vm_under_test_restore(&test, path, on_demand && round % 4 == 1) == 0);
			report(&test);
		}
		need(vm_under_test_resume(&test) == 0);
		vm_under_test_run_ms(&test, 20);
	}
	return 0;
}

/* Restore what is at path and let it tick. */
static int run_restored(const char *path)
{
	static struct vm_under_test test;

	vm_under_test_init(&test);
	/* The folder of the VM that was killed holds its disk and its serial port's file. */
	(void)snprintf(test.serial, sizeof(test.serial), "%.*s/serial",
		       (int)(strrchr(path, '/') - path), path);
	if (vm_under_test_restore(&test, path, false) != 0 || vm_under_test_resume(&test) != 0) {
		(void)fprintf(stderr, "%s\n", test.result.message);
		return 1;
	}
	if (!vm_under_test_wait_text(&test, "TICK", vm_under_test_count_text(&test, "TICK")))
		return 1;
	vm_under_test_destroy(&test);
	return 0;
}

/* ---- the parent ---- */

static pid_t start_child(const char *mode, const char *path, int *output)
{
	int fds[2];
	pid_t child;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, program, mode, path, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	*output = fds[0];
	return child;
}

struct victims {
	int pids[VICTIMS];
	char folder[64];
};

static bool parse_report(const char *line, struct victims *victims)
{
	char *end;

	for (unsigned i = 0; i < VICTIMS; i++, line = end) {
		victims->pids[i] = (int)strtol(line, &end, 10);
		if (end == line)
			return false;
	}
	(void)snprintf(victims->folder, sizeof(victims->folder), "%s", line + 1);
	return true;
}

/* The last whole line that comes within timeout_ms; false: none. */
static bool read_report(int fd, int timeout_ms, struct victims *victims)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	char text[4096], *line;
	ssize_t got;

	if (poll(&poll_fd, 1, timeout_ms) <= 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	if (got <= 0)
		return false;
	text[got] = '\0';
	if (text[got - 1] == '\n')
		text[got - 1] = '\0';
	line = strrchr(text, '\n');
	return parse_report(line ? line + 1 : text, victims);
}

/* Orphans of the child are ours (PR_SET_CHILD_SUBREAPER). False: some are still there. */
static bool wait_for_all(unsigned timeout_ms)
{
	for (unsigned waited = 0; waited < timeout_ms; waited += 5) {
		pid_t ended;

		do
			ended = waitpid(-1, NULL, WNOHANG);
		while (ended > 0);
		if (ended < 0 && errno == ECHILD)
			return true;
		usleep(5000);
	}
	return false;
}

static bool wait_for_child(pid_t child, unsigned timeout_ms, int *status)
{
	for (unsigned waited = 0; waited < timeout_ms; waited += 5) {
		if (waitpid(child, status, WNOHANG) == child)
			return true;
		usleep(5000);
	}
	return false;
}

static int verify(const char *path)
{
	char inspect[] = "inspect", option[] = "--verify", copy[192];
	char *argv[] = {inspect, option, copy, NULL};
	int status;
	pid_t child;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)dup2(null, STDOUT_FILENO);
		_exit(inspect_main(3, argv));
	}
	assert_true(wait_for_child(child, CHILD_TIMEOUT_MS, &status));
	return status;
}

static void check_restores(const char *path)
{
	int output, status = -1;
	pid_t child = start_child("--restored", path, &output);

	if (!wait_for_child(child, CHILD_TIMEOUT_MS, &status) || status != 0)
		fail_msg("%s does not start: status 0x%x", path, (unsigned)status);
	close(output);
	assert_true(wait_for_all(ORPHAN_TIMEOUT_MS));
}

/* Returns how many snapshots there are. */
static unsigned check_folder(const char *folder, unsigned victim)
{
	char path[256], newest[192];
	unsigned count = 0, last = 0;

	for (unsigned i = 0; i < MAX_SNAPSHOTS; i++) {
		bool is_snapshot;

		(void)snprintf(newest, sizeof(newest), "%s/snapshot-%u", folder, i);
		if (access(newest, F_OK) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/manifest.pb", newest);
		is_snapshot = access(path, F_OK) == 0;
		/* Only without a broker is there nobody to clean up. */
		if (!is_snapshot && victim != VICTIM_BROKER)
			fail_msg("%s was left behind", newest);
		if ((verify(newest) == 0) != is_snapshot)
			fail_msg("%s %s", newest,
				 is_snapshot ? "opens but is wrong" : "is no snapshot but opens");
		count += is_snapshot;
		if (is_snapshot)
			last = i;
	}
	(void)snprintf(newest, sizeof(newest), "%s/snapshot-%u", folder, last);
	if (count)
		check_restores(newest);
	return count;
}

/* Kill the victim after a while; the core ends, of that or by itself. */
static void kill_victim(unsigned victim, unsigned delay_us, pid_t child, int output,
			struct victims *victims)
{
	int status;

	usleep(delay_us);
	(void)read_report(output, 0, victims);
	if (victims->pids[victim] > 0)
		(void)kill(victims->pids[victim], SIGKILL);
	if (victim ==
	    VICTIM_PAGER) { /* is replaced, if there was one; what follows is the core's end */
		usleep(delay_us % 20000);
		victim = VICTIM_CORE;
		(void)kill(child, SIGKILL);
	}
	if (wait_for_child(child, 1000, &status))
		return;
	/* The worker was that of a VM that a restore has just replaced: its successor, then. */
	(void)read_report(output, 0, victims);
	(void)kill(victims->pids[victim], SIGKILL);
	if (wait_for_child(child, CHILD_TIMEOUT_MS, &status))
		return;
	(void)kill(child, SIGKILL);
	fail_msg("%s killed after %u us: the core hangs", victim_names[victim], delay_us);
}

static unsigned kill_round(unsigned round)
{
	unsigned short seed[3] = {(unsigned short)round, 7, 11};
	unsigned victim = (unsigned)nrand48(seed) % VICTIMS;
	unsigned delay_us = (unsigned)nrand48(seed) % LATEST_KILL_US;
	struct victims victims = {{0}, ""};
	unsigned snapshots;
	int output;
	pid_t child = start_child("--vm", "", &output);

	if (!read_report(output, CHILD_TIMEOUT_MS, &victims))
		fail_msg("round %u: the VM does not start", round);
	kill_victim(victim, delay_us, child, output, &victims);
	if (!wait_for_all(ORPHAN_TIMEOUT_MS))
		fail_msg("round %u: %s killed after %u us: a process is left", round,
			 victim_names[victim], delay_us);
	close(output);
	snapshots = check_folder(victims.folder, victim);
	scratch_folder_remove(victims.folder);
	return snapshots;
}

static unsigned number_from(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void no_kill_leaves_a_wrong_snapshot_or_a_process(void **state)
{
	unsigned first = number_from("BULKHEAD_KILL_FIRST", 0);
	unsigned rounds = number_from("BULKHEAD_KILL_ROUNDS", ROUNDS_DEFAULT);
	unsigned snapshots = 0;

	(void)state;
	if (!vm_under_test_possible())
		skip();
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (unsigned round = first; round < first + rounds; round++)
		snapshots += kill_round(round);
	printf("%u rounds, %u snapshots, each whole\n", rounds, snapshots);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_kill_leaves_a_wrong_snapshot_or_a_process),
	};

	program = "/proc/self/exe";
	if (argc > 1 && strcmp(argv[1], "--vm") == 0)
		return run_vm();
	if (argc > 2 && strcmp(argv[1], "--restored") == 0)
		return run_restored(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
