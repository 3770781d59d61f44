/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways out of a worker that a hostile one tries. The same table is linked into the hostile worker,
 * which runs one attempt a process, and into the driver, which judges the outcome.
 */
#ifndef BULKHEAD_TESTS_REDTEAM_ATTEMPTS_H
#define BULKHEAD_TESTS_REDTEAM_ATTEMPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What must stop the attempt. */
enum defence {
	BY_FILTER,	/* the policy: a violation that the broker reports. Without a filter (the
			   driver runs everything that way, too) the other stages must stop it */
	BY_FILTER_ONLY, /* the policy; it leads nowhere else that other stages guard, so it is not
			   tried without one */
	BY_KERNEL,	/* an error, with or without a filter: the call as such is allowed */
	BY_SIGSYS,	/* the kernel, at once: another architecture's entry */
	BY_CORE,	/* the other end of its socket: it is cut off, or a deadline passes */
};

/* What the hostile worker learns from the driver before it tries. */
struct order {
	int32_t driver_pid;
	int32_t broker_pid;
	uint16_t tcp_port;	  /* where the driver listens on the loopback device */
	char abstract_socket[64]; /* where it listens in the abstract namespace, without the 0 */
	char unix_socket[64];	  /* and in the file system */
};

struct attempt {
	const char *name;
	enum defence defence;
	bool needs_ring; /* only where the device has an io_uring */
	/* Result as of a system call: a negative errno when it was denied. NULL: the call below. */
	long (*run)(const struct order *order);
	long number;
	long arguments[6];
};

/* An attempt that is one system call. */
#define CALL(attempt_name, by, call, ...)                                                          \
	{                                                                                          \
		.name = attempt_name, .defence = by, .number = SYS_##call, .arguments = {          \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define RUN(attempt_name, by, function)                                                            \
	{                                                                                          \
		.name = attempt_name, .defence = by, .run = function                               \
	}
/* A pointer as a system call's argument. */
#define POINTER(object) ((long)(intptr_t)(object))

/* One call, errno as the result. */
long attempt_call(long number, long a, long b, long c, long d, long e, long f);

/* By subject, each ended by a row without a name. */
extern const struct attempt attempts_files[];
extern const struct attempt attempts_processes[];
extern const struct attempt attempts_privileges[];
extern const struct attempt attempts_network[];
extern const struct attempt attempts_memory[];
extern const struct attempt attempts_kernel[];
extern const struct attempt attempts_ring[];
extern const struct attempt attempts_core[];

/* All of them, one after the other; NULL after the last. */
const struct attempt *attempt_at(size_t index);

#endif
