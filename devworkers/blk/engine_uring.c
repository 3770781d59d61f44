/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The io_uring engine.
 *
 * The ring starts disabled, gets its restrictions and is then enabled, all before the sandbox
 * closes. From then on the kernel accepts on it only the operations below, only on registered
 * files, and of the registrations only the one that puts the image into the one slot. The seccomp
 * policy says the same about the system calls.
 */
#include "devworkers/blk/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "ipc/cleanup.h"

struct engine_uring {
	struct engine engine;
	struct io_uring ring;
	bool ring_made;
	bool can_mute; /* the eventfd may be switched off while we look by ourselves */
};

/*
 * IORING_FEAT_MIN_TIMEOUT. Linux 6.1 loses the signal of a completion that it posts from its own
 * thread when the eventfd was switched off in between; there it stays on.
 */
#define FEATURE_OF_LINUX_6_12 (1U << 15)

static const uint8_t allowed_operations[] = {
	IORING_OP_READ,	  IORING_OP_READV, IORING_OP_WRITE,
	IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
};
#define ALLOWED_OPERATION_COUNT (sizeof(allowed_operations) / sizeof(allowed_operations[0]))

static int make_ring(struct engine_uring *uring)
{
	/* One thread submits and collects: completions are then handled in batches, when we ask,
	 * without interrupting it. Kernels before 6.1 do not know these flags. */
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG};
	int status = io_uring_queue_init_params(ENGINE_MAX_IN_FLIGHT, &uring->ring, &params);

	if (status == -EINVAL) {
		params = (struct io_uring_params){.flags = IORING_SETUP_R_DISABLED};
		status = io_uring_queue_init_params(ENGINE_MAX_IN_FLIGHT, &uring->ring, &params);
	}
	if (status)
		return status;
	uring->ring_made = true;
	uring->can_mute = (params.features & FEATURE_OF_LINUX_6_12) != 0;
	return 0;
}

static int restrict_ring(struct engine_uring *uring)
{
	struct io_uring_restriction rules[ALLOWED_OPERATION_COUNT + 3];
	unsigned count = 0;

	memset(rules, 0, sizeof(rules));
	for (size_t i = 0; i < ALLOWED_OPERATION_COUNT; i++) {
		rules[count].opcode = IORING_RESTRICTION_SQE_OP;
		rules[count++].sqe_op = allowed_operations[i];
	}
	rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	rules[count++].sqe_flags = IOSQE_FIXED_FILE;
	rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	rules[count++].sqe_flags = IOSQE_FIXED_FILE;
	rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
	rules[count++].register_op = IORING_REGISTER_FILES_UPDATE;
	return io_uring_register_restrictions(&uring->ring, rules, count);
}

static int set_up(struct engine_uring *uring, struct error *err)
{
	const int no_file = -1;
	int status = make_ring(uring);

	if (status)
		return error_set_errno(err, status, "io_uring_setup");
	status = io_uring_register_files(&uring->ring, &no_file, 1);
	if (status)
		return error_set_errno(err, status, "io_uring file table");
	uring->engine.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (uring->engine.event_fd < 0)
		return error_set_errno(err, -errno, "eventfd");
	status = io_uring_register_eventfd(&uring->ring, uring->engine.event_fd);
	if (status)
		return error_set_errno(err, status, "io_uring eventfd");
	status = restrict_ring(uring);
	if (status)
		return error_set_errno(err, status, "io_uring restrictions");
	status = io_uring_enable_rings(&uring->ring);
	if (status)
		return error_set_errno(err, status, "io_uring enable");
	return 0;
}

static void uring_destroy(struct engine *engine)
{
	struct engine_uring *uring = (struct engine_uring *)engine;

	if (uring->ring_made)
		io_uring_queue_exit(&uring->ring);
	fd_close(&engine->event_fd);
	free(uring);
}

static int uring_set_file(struct engine *engine, int fd, struct error *err)
{
	struct engine_uring *uring = (struct engine_uring *)engine;
	int status = io_uring_register_files_update(&uring->ring, 0, &fd, 1);

	return status < 0 ? error_set_errno(err, status, "io_uring file table") : 0;
}

static void prepare_transfer(struct io_uring_sqe *sqe, const struct engine_io *io)
{
	bool read = io->kind == ENGINE_READ;
	const struct iovec *first = io->segments;

	/* A single segment spares the kernel a copy of the array. */
	if (io->segment_count == 1 && first->iov_len <= UINT32_MAX)
		io_uring_prep_rw(read ? IORING_OP_READ : IORING_OP_WRITE, sqe, 0, first->iov_base,
				 (unsigned)first->iov_len, io->offset_bytes);
	else
		io_uring_prep_rw(read ? IORING_OP_READV : IORING_OP_WRITEV, sqe, 0, first,
				 io->segment_count, io->offset_bytes);
	if (io->kind == ENGINE_WRITE_STABLE)
		sqe->rw_flags = RWF_DSYNC;
}

static void prepare(struct io_uring_sqe *sqe, const struct engine_io *io)
{
	switch (io->kind) {
	case ENGINE_READ:
	case ENGINE_WRITE:
	case ENGINE_WRITE_STABLE:
		prepare_transfer(sqe, io);
		break;
	case ENGINE_SYNC:
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
		break;
	case ENGINE_PUNCH:
		io_uring_prep_fallocate(sqe, 0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)io->offset_bytes, (off_t)io->length_bytes);
		break;
	case ENGINE_ZERO:
		io_uring_prep_fallocate(sqe, 0, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
					(off_t)io->offset_bytes, (off_t)io->length_bytes);
		break;
	}
}

static void uring_queue(struct engine *engine, struct engine_io *io)
{
	struct engine_uring *uring = (struct engine_uring *)engine;
	/* Never NULL: as many entries as may be in flight. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	prepare(sqe, io);
	sqe->flags = IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, io);
}

/* The kernel says in shared memory that completions wait for us to come and get them. */
static bool has_deferred_work(const struct engine_uring *uring)
{
	return (__atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) &
		(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static void set_eventfd(struct engine_uring *uring, bool enabled)
{
	if (!uring->can_mute)
		return;
	__atomic_store_n(uring->ring.cq.kflags, enabled ? 0 : IORING_CQ_EVENTFD_DISABLED,
			 __ATOMIC_RELAXED);
}

/*
 * A submission that the kernel refuses as a whole (out of memory, say) stays queued in the ring
 * and is offered again by the next flush.
 */
static void uring_flush(struct engine *engine)
{
	struct engine_uring *uring = (struct engine_uring *)engine;
	int submitted;

	/* We look by ourselves until engine_arm(): no signals, then, for what ends at once. */
	set_eventfd(uring, false);
	if (engine->queued > 0)
		submitted = io_uring_submit_and_get_events(&uring->ring);
	else if (has_deferred_work(uring))
		submitted = io_uring_get_events(&uring->ring);
	else
		return;
	if (submitted > 0)
		engine->queued -= (unsigned)submitted;
}

static unsigned uring_reap(struct engine *engine)
{
	struct engine_uring *uring = (struct engine_uring *)engine;
	struct io_uring_cqe *entries[32];
	unsigned total = 0, count;

	while ((count = io_uring_peek_batch_cqe(&uring->ring, entries, 32)) > 0) {
		for (unsigned i = 0; i < count; i++) {
			struct engine_io *io = io_uring_cqe_get_data(entries[i]);

			io->result = entries[i]->res;
			engine->in_flight--;
			engine->done(engine->opaque, io);
		}
		io_uring_cq_advance(&uring->ring, count);
		total += count;
	}
	return total;
}

static bool uring_arm(struct engine *engine)
{
	struct engine_uring *uring = (struct engine_uring *)engine;

	set_eventfd(uring, true);
	/*
	 * The kernel makes its work visible, then looks at our flag; we set the flag, then look for
	 * work. With the barrier between, one of us sees the other.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return has_deferred_work(uring) || io_uring_cq_ready(&uring->ring) > 0;
}

static int uring_wait(struct engine *engine)
{
	struct engine_uring *uring = (struct engine_uring *)engine;
	int submitted = io_uring_submit_and_wait(&uring->ring, 1);

	if (submitted > 0)
		engine->queued -= (unsigned)submitted;
	return submitted < 0 && submitted != -EINTR ? submitted : 0;
}

static const struct engine_ops uring_ops = {
	.name = "io_uring",
	.set_file = uring_set_file,
	.queue = uring_queue,
	.flush = uring_flush,
	.reap = uring_reap,
	.arm = uring_arm,
	.wait = uring_wait,
	.destroy = uring_destroy,
};

struct engine *engine_uring_new(struct error *err)
{
	struct engine_uring *uring = calloc(1, sizeof(*uring));

	if (!uring) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	uring->engine.ops = &uring_ops;
	uring->engine.event_fd = -1;
	if (set_up(uring, err)) {
		uring_destroy(&uring->engine);
		return NULL;
	}
	return &uring->engine;
}
