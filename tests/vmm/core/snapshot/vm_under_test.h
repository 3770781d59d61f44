/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real VM for tests: the core's own objects in this process, the real broker and workers, a
 * bare-metal guest on native KVM. Every wait has a deadline and fails the test.
 */
#ifndef BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_VM_UNDER_TEST_H
#define BULKHEAD_TESTS_VMM_CORE_SNAPSHOT_VM_UNDER_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "vmm/core/control/vm.h"
#include "vmm/core/snapshot/restore.h"
#include "vmm/core/snapshot/snapshot.h"
#include "vmm/core/workers/channel_watch.h"

struct vm_under_test {
	uv_loop_t loop;
	struct broker_client *broker;
	struct channel_watch broker_watch;
	struct vm *vm;
	char folder[64]; /* scratch, removed at the end */
	char serial[96]; /* what the guest printed */
	bool done;	 /* of the operation waited for */
	struct error result;
	bool ended;
	enum vm_end why;
	unsigned devices_failed;
	bool force;	   /* restore in spite of risks */
	int serial_client; /* connected to the serial port's socket; -1: not */
};

/* What a test wants different from the usual machine. */
struct vm_under_test_machine {
	const char *guest, *cmdline;
	unsigned cpus;	       /* 0: 1 */
	uint64_t memory_bytes; /* 0: 128 MiB */
	bool hugepages;
	bool prefault, thp;
	const char *memory_file; /* NULL: none */
	bool serial_socket;	 /* FOLDER/serial.socket, for input; else a file */
};

/* True when this machine can run it; otherwise a reason was printed. */
bool vm_under_test_possible(void);

void vm_under_test_init(struct vm_under_test *test);
/* The same with other worker programs. */
void vm_under_test_init_workers(struct vm_under_test *test, const char *worker_folder);
/* With a snapshot of a guest that ticks every 20 ms, whose VM is gone; its path is written there.
 */
void vm_under_test_init_saved(struct vm_under_test *test, char *path, size_t bytes);
void vm_under_test_destroy(struct vm_under_test *test);

/* A VM that is not started yet, in place of the last one. Takes config. */
void vm_under_test_make_vm(struct vm_under_test *test, Bulkhead__Config__Vm *config);

/* Boot guests/GUEST.elf with a disk of 1 MiB, rng and console, and this command line. */
void vm_under_test_boot(struct vm_under_test *test, const char *guest, const char *cmdline,
			unsigned cpus);
/* Returns 0 or why it does not boot, also in test->result. */
int vm_under_test_boot_machine(struct vm_under_test *test,
			       const struct vm_under_test_machine *machine);

/* Each waits for the end of the operation. Returns 0 or its error, also in test->result. */
int vm_under_test_pause(struct vm_under_test *test);
int vm_under_test_resume(struct vm_under_test *test);
int vm_under_test_snapshot(struct vm_under_test *test, const char *path);
int vm_under_test_restore(struct vm_under_test *test, const char *path, bool on_demand);
/* With overrides (vm_config_new(), not completed; freed), as the command line would give them. */
int vm_under_test_restore_with(struct vm_under_test *test, const char *path, bool on_demand,
			       Bulkhead__Config__Vm *overrides);

/* Begin a snapshot, run until it is in that phase (false: it was over before), wait for its end. */
int vm_under_test_begin_snapshot(struct vm_under_test *test, const char *path);
bool vm_under_test_run_to_phase(struct vm_under_test *test, enum snapshot_phase phase);
int vm_under_test_wait(struct vm_under_test *test);

/* The pid of the worker of that device. */
int vm_under_test_worker_pid(struct vm_under_test *test, const char *id);

/* Power off without the guest and free the VM; the broker stays. */
void vm_under_test_end_vm(struct vm_under_test *test);

/* Run the loop for a while. */
void vm_under_test_run_ms(struct vm_under_test *test, unsigned milliseconds);

/* Run the loop until the guest has printed text more than `times` times; false after 30 s. */
bool vm_under_test_wait_text(struct vm_under_test *test, const char *text, unsigned times);
unsigned vm_under_test_count_text(struct vm_under_test *test, const char *text);

/*
 * How many lines tell of something wrong: a check that failed, a tick that did not find memory,
 * disk, registers and clocks as the ones before left them, a bad page or sector. In the right
 * order, too: every tick is one more than the last, if there was but one VM at a time and none was
 * restored twice.
 */
unsigned vm_under_test_count_bad(struct vm_under_test *test);
void vm_under_test_assert_good(struct vm_under_test *test); /* shows the first of them */
bool vm_under_test_ticks_in_order(struct vm_under_test *test);

/* Connect to the serial port's socket: what the guest prints goes where the others' does. Type
 * text.
 */
void vm_under_test_connect_serial(struct vm_under_test *test);
void vm_under_test_type(struct vm_under_test *test, const char *text);

/* The last line that holds text, without its end; false: there is none. */
bool vm_under_test_last_line(struct vm_under_test *test, const char *text, char *line,
			     size_t bytes);

/* "FOLDER/NAME". */
const char *vm_under_test_path(struct vm_under_test *test, const char *name, char *path,
			       size_t bytes);

#endif
