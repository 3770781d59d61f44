/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_rows.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cleanup.h"

void bench_rows_add(struct bench_rows *rows, const struct bench_row *row)
{
	assert(rows->count < BENCH_MAX_ROWS);
	rows->rows[rows->count++] = *row;
}

static void write_row(FILE *file, const struct bench_row *row, bool last)
{
	(void)fprintf(file, "  {\"name\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", ", row->name,
		      row->value, row->unit);
	if (row->peer)
		(void)fprintf(file, "\"peer\": \"%s\", \"peer_value\": %.3f, \"ratio\": %.3f, ",
			      row->peer, row->peer_value, row->ratio);
	else
		(void)fprintf(file, "\"peer\": null, \"peer_value\": null, \"ratio\": null, ");
	(void)fprintf(file, "\"aim\": \"%s\", \"met\": %s}%s\n", row->aim,
		      row->met ? "true" : "false", last ? "" : ",");
}

int bench_rows_write(const struct bench_rows *rows, const char *path, struct error *err)
{
	cleanup_stream FILE *file = fopen(path, "we");

	if (!file)
		return error_set_errno(err, -errno, "open %s", path);
	(void)fprintf(file, "[\n");
	for (unsigned i = 0; i < rows->count; i++)
		write_row(file, &rows->rows[i], i + 1 == rows->count);
	(void)fprintf(file, "]\n");
	return ferror(file) ? error_set_errno(err, -EIO, "write %s", path) : 0;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

double bench_median(const double *values, unsigned count)
{
	double sorted[BENCH_MAX_ROUNDS];

	assert(count <= BENCH_MAX_ROUNDS);
	if (!count)
		return 0;
	memcpy(sorted, values, count * sizeof(sorted[0]));
	qsort(sorted, count, sizeof(sorted[0]), compare);
	return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

double bench_median_ratio(const double *values, const double *others, unsigned count)
{
	double ratios[BENCH_MAX_ROUNDS];

	assert(count <= BENCH_MAX_ROUNDS);
	for (unsigned i = 0; i < count; i++)
		ratios[i] = values[i] / others[i];
	return bench_median(ratios, count);
}
