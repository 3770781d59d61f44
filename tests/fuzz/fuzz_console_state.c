/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console's own part of its saved state: the input is the blob. What is taken fits the device,
 * and comes back as it was saved.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/worker_context.h"
#include "devworkers/console/console.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(struct worker *worker, struct console *console)
{
	struct console_size size = console->size;
	size_t pending = console->pending_bytes;
	struct error err = ERROR_INIT;
	uint8_t *state;
	size_t bytes;

	if (pending > CONSOLE_MAX_PENDING_INPUT || state_save(worker, &state, &bytes, &err) < 0)
		abort();
	memset(&console->size, 0, sizeof(console->size));
	console->pending_bytes = 0;
	if (state_restore(worker, state, bytes, &err) < 0 || console->pending_bytes != pending ||
	    console->size.columns != size.columns || console->size.rows != size.rows)
		abort();
	free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct console console;
	static struct worker worker;
	struct error err = ERROR_INIT;

	memset(&console.size, 0, sizeof(console.size));
	console.pending_bytes = 0;
	worker.device = &console;
	console.worker = &worker;
	if (state_restore(&worker, data, size, &err) == 0)
		check_again(&worker, &console);
	else if (err.code >= 0 || !err.message[0])
		abort();
	return 0;
}
