/* SPDX-License-Identifier: Apache-2.0 */
/* The ring refuses everything but what the disk does, whoever holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devworkers/blk/engine.h"

/* What somebody has who took the process over: the ring's fd, and its memory mapped anew. */
struct stolen_ring {
	struct engine *engine;
	struct io_uring_sqe *entries;
	uint8_t *shared;
	struct io_uring_params params;
};

static int set_up(void **state)
{
	static struct stolen_ring ring;
	struct error err = ERROR_INIT;

	ring.engine = engine_uring_new(&err);
	*state = &ring;
	if (!ring.engine)
		print_message("skip: %s\n", err.message);
	return 0;
}

static int tear_down(void **state)
{
	struct stolen_ring *ring = *state;

	engine_destroy(ring->engine);
	return 0;
}

static struct io_uring *ring_of(void **state)
{
	struct stolen_ring *stolen = *state;

	if (!stolen->engine)
		skip();
	/* The engine's first member after struct engine is its ring. */
	return (struct io_uring *)(stolen->engine + 1);
}

static int result_of(struct io_uring *ring, struct io_uring_sqe *sqe)
{
	struct io_uring_cqe *cqe = NULL;
	int result;

	(void)sqe;
	assert_true(io_uring_submit_and_wait(ring, 1) >= 0);
	assert_int_equal(io_uring_peek_cqe(ring, &cqe), 0);
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static void operations_beyond_the_list_are_denied(void **state)
{
	struct io_uring *ring = ring_of(state);

	for (unsigned op = 0; op < IORING_OP_LAST; op++) {
		struct io_uring_sqe *sqe;

		if (op == IORING_OP_READ || op == IORING_OP_READV || op == IORING_OP_WRITE ||
		    op == IORING_OP_WRITEV || op == IORING_OP_FSYNC || op == IORING_OP_FALLOCATE)
			continue;
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_rw((int)op, sqe, 0, NULL, 0, 0);
		sqe->flags = IOSQE_FIXED_FILE;
		assert_int_equal(result_of(ring, sqe), -EACCES);
	}
}

static void files_that_are_not_registered_are_denied(void **state)
{
	struct io_uring *ring = ring_of(state);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	char byte;

	io_uring_prep_read(sqe, STDIN_FILENO, &byte, 1, 0);
	assert_int_equal(result_of(ring, sqe), -EACCES);
}

static void other_flags_are_denied(void **state)
{
	struct io_uring *ring = ring_of(state);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	char byte;

	io_uring_prep_read(sqe, 0, &byte, 1, 0);
	sqe->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
	assert_int_equal(result_of(ring, sqe), -EACCES);
}

static void other_registrations_are_denied(void **state)
{
	struct io_uring *ring = ring_of(state);
	int fds[2] = {-1, -1};

	for (unsigned op = 0; op < IORING_REGISTER_LAST; op++) {
		if (op == IORING_REGISTER_FILES_UPDATE)
			continue;
		assert_int_equal(syscall(SYS_io_uring_register, ring->ring_fd, op, fds, 1), -1);
		assert_true(errno == EACCES || errno == EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(operations_beyond_the_list_are_denied, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(files_that_are_not_registered_are_denied, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(other_flags_are_denied, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_registrations_are_denied, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
