/* SPDX-License-Identifier: Apache-2.0 */
/* What a benchmark found: rows of build/bench.json. */
#ifndef BULKHEAD_TESTS_BENCH_BENCH_ROWS_H
#define BULKHEAD_TESTS_BENCH_BENCH_ROWS_H

#include <stdbool.h>

#include "ipc/error.h"

#define BENCH_MAX_ROWS	 16
#define BENCH_MAX_ROUNDS 101
#define BENCH_SKIPPED	 77 /* exit status: this machine lacks something, a reason was printed */

struct bench_row {
	char name[96];
	double value;
	const char *unit;
	const char *peer; /* NULL: none; then peer_value and ratio are null in the file */
	double peer_value;
	double ratio;	 /* value to peer_value, median of the rounds' own ratios */
	const char *aim; /* as text */
	bool met;
};

struct bench_rows {
	struct bench_row rows[BENCH_MAX_ROWS];
	unsigned count;
};

/* Add one; what lacks room is a bug of the benchmark. */
void bench_rows_add(struct bench_rows *rows, const struct bench_row *row);

/* Write all as a JSON array, one object a line. */
int bench_rows_write(const struct bench_rows *rows, const char *path, struct error *err);

/* Of count values, at most BENCH_MAX_ROUNDS; 0 for none. */
double bench_median(const double *values, unsigned count);

/* Median of values[i] / others[i]. */
double bench_median_ratio(const double *values, const double *others, unsigned count);

#endif
