/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console with one port (virtio 1.2, 5.3). main.c: ops and configuration; receive.c: input,
 * queue 0; transmit.c: output, queue 1; size.c: columns and rows; state.c: what a snapshot keeps;
 * backend.c: the outer side.
 */
#ifndef BULKHEAD_DEVWORKERS_CONSOLE_CONSOLE_H
#define BULKHEAD_DEVWORKERS_CONSOLE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devworkers/common/worker.h"
#include "devworkers/console/backend.h"
#include "ipc/log.h"

#define CONSOLE_RECEIVE_QUEUE  0
#define CONSOLE_TRANSMIT_QUEUE 1
#define CONSOLE_QUEUE_COUNT    2
#define CONSOLE_QUEUE_SIZE     64

#define CONSOLE_MAX_PENDING_INPUT 4096
/* Output held back for a slow backend: up to the first in normal running, then nothing is popped;
 * the rest takes what a quiesce cannot leave half-written in a chain. */
#define CONSOLE_MAX_HELD_OUTPUT ((size_t)64 * 1024)
#define CONSOLE_HELD_CAPACITY	((size_t)128 * 1024)

/* Work of one queue in one turn of the loop; then the others get theirs. */
#define CONSOLE_MAX_CHAINS_PER_TURN 64
#define CONSOLE_MAX_BYTES_PER_TURN  ((size_t)256 * 1024)

struct console_size {
	uint16_t columns, rows; /* 0: unknown */
};

struct console {
	struct worker *worker;
	struct backend backend;
	bool active;

	struct console_size size;
	bool size_is_news; /* the driver must be told after activation */

	uint8_t pending_input[CONSOLE_MAX_PENDING_INPUT];
	size_t pending_bytes;

	uint8_t held_output[CONSOLE_HELD_CAPACITY];
	size_t held_start, held_bytes; /* a span, moved down when it reaches the end */
	bool transmitting;	       /* transmit_chain is popped and partly consumed: */
	struct virtqueue_chain transmit_chain;
	struct iovec transmit_segments[CONSOLE_QUEUE_SIZE];
	uint64_t transmit_offset;

	struct log_ratelimit loss_limit;
	uint64_t input_bytes, output_bytes, lost_bytes;
};

/* ---- main.c ---- */

/* Ask the backend for what is missing: input while there is room for it, room for output held. */
void console_update_wants(struct console *console);

/* Call `later` in the next turn of the loop. */
void console_continue_later(struct console *console, void (*later)(void *));

/* ---- receive.c ---- */

void receive_run(struct console *console); /* read input and give it to the guest */
void receive_drain(struct console *console);

/* ---- transmit.c ---- */

void transmit_run(struct console *console); /* take the guest's output and pass it on */
void transmit_continue(void *console);	    /* the same, as a timer calls it */
void transmit_drain(struct console *console);
void transmit_drop_held(struct console *console);

/* ---- size.c ---- */

/* Check and set. -EINVAL: does not fit 16 bits. */
int size_set(struct console *console, uint32_t columns, uint32_t rows, struct error *err);
void size_fill_description(const struct console *console, struct worker_description *description);
void size_announce(struct console *console);
int size_update(struct worker *worker, const uint8_t *update, size_t update_bytes, int *fds,
		unsigned fd_count, struct error *err);

/* ---- state.c ---- */

int state_save(struct worker *worker, uint8_t **state, size_t *state_bytes, struct error *err);
int state_restore(struct worker *worker, const uint8_t *state, size_t state_bytes,
		  struct error *err);

#endif
