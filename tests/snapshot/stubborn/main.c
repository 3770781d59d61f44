/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that gets in the way of a snapshot. Its queues are never served; UPDATE, one byte, says
 * how it behaves from then on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/worker.h"
#include "tests/snapshot/stubborn/policy.seccomp.h"

#define STUBBORN_QUEUE_SIZE 16

enum stubborn_command {
	STUBBORN_BEHAVE = 'o',
	STUBBORN_REFUSE_DRAIN = 'q', /* QUIESCE is answered with an error */
	STUBBORN_NEVER_DRAIN = 'n',  /* QUIESCE is not answered before its deadline */
	STUBBORN_REFUSE_SAVE = 's',  /* SAVE_STATE is answered with an error */
	STUBBORN_LARGE_STATE = 'l',  /* 9 MiB: passes the socket, no file may be that large */
	STUBBORN_HUGE_STATE = 'h',   /* 17 MiB: no worker's state may be that large */
};

struct stubborn {
	char behaviour;
};

static int stubborn_configure(struct worker *worker, const uint8_t *config, size_t config_bytes,
			      int *fds, unsigned fd_count, struct worker_description *description,
			      struct error *err)
{
	(void)worker;
	(void)config;
	(void)config_bytes;
	(void)fds;
	(void)fd_count;
	(void)err;
	description->queue_count = 1;
	description->queue_sizes[0] = STUBBORN_QUEUE_SIZE;
	return 0;
}

static int stubborn_activate(struct worker *worker, uint64_t features, struct error *err)
{
	(void)worker;
	(void)features;
	(void)err;
	return 0;
}

static void stubborn_queue_ready(struct worker *worker, struct virtqueue *queue)
{
	(void)worker;
	(void)queue;
}

static int stubborn_drain(struct worker *worker, struct error *err)
{
	const struct stubborn *stubborn = worker_device(worker);

	if (stubborn->behaviour == STUBBORN_REFUSE_DRAIN)
		return error_set(err, -EIO, "told to refuse");
	return stubborn->behaviour == STUBBORN_NEVER_DRAIN ? 1 : 0;
}

static void stubborn_reset(struct worker *worker)
{
	(void)worker;
}

static int stubborn_save(struct worker *worker, uint8_t **state, size_t *state_bytes,
			 struct error *err)
{
	const struct stubborn *stubborn = worker_device(worker);

	*state_bytes = 16;
	if (stubborn->behaviour == STUBBORN_REFUSE_SAVE)
		return error_set(err, -EIO, "told to keep it");
	if (stubborn->behaviour == STUBBORN_LARGE_STATE)
		*state_bytes = 9 << 20;
	if (stubborn->behaviour == STUBBORN_HUGE_STATE)
		*state_bytes = 17 << 20;
	*state = malloc(*state_bytes);
	if (!*state)
		return error_set_errno(err, -ENOMEM, "state");
	memset(*state, 's', *state_bytes);
	return 0;
}

static int stubborn_restore(struct worker *worker, const uint8_t *state, size_t state_bytes,
			    struct error *err)
{
	(void)worker;
	if (state_bytes != 16 || state[0] != 's')
		return error_set(err, -EINVAL, "state of another device");
	return 0;
}

static int stubborn_update(struct worker *worker, const uint8_t *update, size_t update_bytes,
			   int *fds, unsigned fd_count, struct error *err)
{
	struct stubborn *stubborn = worker_device(worker);

	(void)fds;
	(void)fd_count;
	if (update_bytes != 1)
		return error_set(err, -EINVAL, "no such command");
	stubborn->behaviour = (char)update[0];
	return 0;
}

static const struct worker_device_ops stubborn_ops = {
	.kind = "stubborn",
	.state_size = sizeof(struct stubborn),
	.seccomp_policy = &stubborn_policy,
	.configure = stubborn_configure,
	.activate = stubborn_activate,
	.queue_ready = stubborn_queue_ready,
	.drain = stubborn_drain,
	.reset = stubborn_reset,
	.save = stubborn_save,
	.restore = stubborn_restore,
	.update = stubborn_update,
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, &stubborn_ops);
}
