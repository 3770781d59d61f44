/* SPDX-License-Identifier: Apache-2.0 */
/* A program under measurement: started, watched through its standard output, ended. */
#ifndef BULKHEAD_TESTS_BENCH_BENCH_PROCESS_H
#define BULKHEAD_TESTS_BENCH_BENCH_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "ipc/error.h"

#define BENCH_MAX_ARGUMENTS 64

/* An argument vector, made from text that is split at spaces. */
struct bench_command {
	char text[2048];
	char *argv[BENCH_MAX_ARGUMENTS + 1];
	unsigned count;
};

void bench_command_init(struct bench_command *command);
void bench_command_add(struct bench_command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct bench_process {
	pid_t pid;     /* 0: none */
	int input_fd;  /* its standard input, a pipe */
	int output_fd; /* its standard output, a pipe */
	double started_ms;
};

#define BENCH_PROCESS_INIT                                                                         \
	{                                                                                          \
		.input_fd = -1, .output_fd = -1                                                    \
	}

/* CLOCK_MONOTONIC. */
double bench_now_ms(void);

/*
 * Start command (found by PATH) with `input_text` waiting on its standard input, which stays open.
 * started_ms is the moment before the fork.
 */
int bench_process_start(struct bench_process *process, const struct bench_command *command,
			const char *input, struct error *err);

/*
 * Read the output until `wanted` comes; *elapsed_ms is then the time since the start. -ETIMEDOUT,
 * or -EPIPE when the program ended before.
 */
int bench_process_wait(struct bench_process *process, char wanted, unsigned timeout_ms,
		       double *elapsed_ms, struct error *err);

/* Run a program to its end; -EIO when that is not exit status 0. Its output is ours. */
int bench_process_run(const struct bench_command *command, struct error *err);

/*
 * SIGTERM, later SIGKILL; then wait until nobody holds the output any more, so that nothing of it
 * disturbs what is measured next. Idempotent.
 */
void bench_process_end(struct bench_process *process);

#endif
