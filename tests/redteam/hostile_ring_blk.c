/* SPDX-License-Identifier: Apache-2.0 */
/* The ring that blk's engine makes and restricts. */
#include "tests/redteam/hostile_ring.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "devworkers/blk/engine.h"

/* As the engine's own struct begins: an attacker knows the program it has taken over. */
struct ring_view {
	struct engine engine;
	struct io_uring ring;
};

/* The hostile worker is one attempt in one process. */
static struct ring_view *view;

int hostile_ring_prepare(struct error *err)
{
	view = (struct ring_view *)engine_uring_new(err);
	return view ? 0 : err->code;
}

int hostile_ring_fd(void)
{
	return view ? view->ring.ring_fd : -1;
}

long hostile_ring_submit(uint8_t operation, int fd, const void *address, uint32_t length,
			 bool fixed_file)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&view->ring);
	struct io_uring_cqe *cqe;
	int rc;

	if (!sqe)
		return -EAGAIN;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = operation;
	sqe->fd = fd;
	sqe->addr = (uint64_t)(uintptr_t)address;
	sqe->len = length;
	sqe->flags = fixed_file ? IOSQE_FIXED_FILE : 0;
	rc = io_uring_submit_and_wait(&view->ring, 1);
	if (rc < 0)
		return rc;
	rc = io_uring_peek_cqe(&view->ring, &cqe);
	return rc < 0 ? rc : cqe->res;
}
