/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command lines that are compared: Bulkhead and QEMU's microvm with one vCPU, the same memory,
 * a disk, an entropy device and a console that nobody listens to, the serial port on standard input
 * and output, and the same PVH guest.
 */
#ifndef BULKHEAD_TESTS_BENCH_BENCH_MACHINES_H
#define BULKHEAD_TESTS_BENCH_BENCH_MACHINES_H

#include <stdbool.h>

#include "tests/bench/bench_process.h"

struct bench_machine {
	const char *build;   /* folder of the programs and guests */
	const char *guest;   /* BUILD/guests/GUEST.elf */
	const char *cmdline; /* without spaces; NULL: none */
	unsigned memory_mib;
	const char *disk;
};

void bench_machine_bulkhead(const struct bench_machine *machine, struct bench_command *command);
void bench_machine_qemu(const struct bench_machine *machine, struct bench_command *command);

/* From the snapshot in folder `from`, running. */
void bench_machine_bulkhead_restore(const struct bench_machine *machine, const char *from,
				    bool on_demand, struct bench_command *command);

/* From the migration stream in file `from`, running. */
void bench_machine_qemu_incoming(const struct bench_machine *machine, const char *from,
				 struct bench_command *command);

/* Each false with a reason printed. */
bool bench_machine_have_kvm(void);
bool bench_machine_have_qemu(void);

/* A sparse disk image of 1 MiB for the machines above. Returns 0 or a negative errno. */
int bench_machine_make_disk(const char *path, struct error *err);

/*
 * Wait until nobody holds a lock on the disk of a machine that ended: the kernel closes the files
 * of an io_uring instance a little after its process, and the next machine would wait for them.
 */
void bench_machine_wait_disk(const char *path);

#endif
