/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile worker in a running VM: the entropy device, real up to the moment when it was
 * configured, and a little later the one attempt that the VM's name ("attempt-N") gives. What
 * counts here is what becomes of the VM and of its other devices (tests/redteam/live).
 */
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/worker.h"
#include "devworkers/rng/policy.seccomp.h"
#include "ipc/channel.h"
#include "tests/redteam/attempts.h"

#define PEACEFUL_MS 300

struct hostile {
	struct worker *worker;
};

/* Which attempt; set from the command line before the worker begins. */
static const struct attempt *attempt;

static void attack(void *opaque)
{
	static const struct order nobody = {.driver_pid = 1, .broker_pid = 1};
	const long *arguments = attempt->arguments;

	(void)opaque;
	if (attempt->run)
		(void)attempt->run(&nobody);
	else
		(void)attempt_call(attempt->number, arguments[0], arguments[1], arguments[2],
				   arguments[3], arguments[4], arguments[5]);
}

static int hostile_configure(struct worker *worker, const uint8_t *config, size_t config_bytes,
			     int *fds, unsigned fd_count, struct worker_description *description,
			     struct error *err)
{
	(void)config;
	(void)config_bytes;
	(void)fds;
	(void)fd_count;
	(void)err;
	description->queue_count = 1;
	description->queue_sizes[0] = 64;
	loop_set_timer(worker_loop(worker), channel_now_ms() + PEACEFUL_MS, attack, worker);
	return 0;
}

static void hostile_queue_ready(struct worker *worker, struct virtqueue *queue)
{
	(void)worker;
	(void)queue;
}

static const struct worker_device_ops hostile_ops = {
	.kind = "rng",
	.state_size = sizeof(struct hostile),
	.seccomp_policy = &rng_policy,
	.configure = hostile_configure,
	.queue_ready = hostile_queue_ready,
};

int main(int argc, char **argv)
{
	static const char option[] = "--vm-name=attempt-";

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], option, sizeof(option) - 1) == 0)
			attempt = attempt_at(strtoul(argv[i] + sizeof(option) - 1, NULL, 10));
	return attempt ? worker_main(argc, argv, &hostile_ops) : EXIT_FAILURE;
}
