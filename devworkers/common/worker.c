/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a worker process:
 *   1. read the broker's options, set up the log;
 *   2. enter the sandbox up to its last stage (devworkers/common/sandbox.h);
 *   3. make what needs system calls that are forbidden later: loop, channel, the device's own;
 *   4. lock the sandbox and report to the broker;
 *   5. serve the core until SHUTDOWN or until it is gone.
 */
#include "devworkers/common/worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "devworkers/common/process_options.h"
#include "devworkers/common/sandbox.h"
#include "devworkers/common/worker_context.h"
#include "ipc/cleanup.h"
#include "ipc/log.h"

/* All regions, the eventfds of all queues, two messages full of fds, and what a device has. */
#define WORKER_MAX_FDS 256U

static void destroy_worker(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->device && worker->loop && worker->ops->destroy)
		worker->ops->destroy(worker);
	if (worker->loop) {
		worker_release_guest(worker);
		worker_close_channel(worker);
	}
	worker_free_saved(worker->saved);
	loop_destroy(worker->loop);
	fd_close(&worker->dirty_log_fd);
	free(worker->device);
	free(worker);
}

static struct worker *new_worker(const struct worker_device_ops *ops,
				 const struct process_options *options, struct error *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		goto fail;
	worker->dirty_log_fd = worker->userfaultfd = -1;
	worker->guest_lines = (struct log_ratelimit)LOG_RATELIMIT_INIT;
	worker->ops = ops;
	worker->device = calloc(1, ops->state_size ? ops->state_size : 1);
	if (!worker->device)
		goto fail;
	(void)snprintf(worker->device_id, sizeof(worker->device_id), "%s", options->device_id);
	(void)snprintf(worker->vm_name, sizeof(worker->vm_name), "%s", options->vm_name);
	return worker;
fail:
	error_set_errno(err, -ENOMEM, "worker");
	destroy_worker(worker);
	return NULL;
}

/* Between the sandbox's stages and its lock. */
static int prepare_worker(void *opaque, struct error *err)
{
	struct worker *worker = opaque;
	int ret;

	worker->loop = loop_new();
	if (!worker->loop)
		return error_set_errno(err, -errno, "event loop");
	ret = worker_open_channel(worker, SANDBOX_CORE_FD, err);
	if (ret < 0)
		return ret;
	return worker->ops->prepare ? worker->ops->prepare(worker, err) : 0;
}

static int run_worker(struct worker *worker, const struct process_options *options,
		      struct error *err)
{
	const struct sandbox_options sandbox = {
		.policy = worker->ops->seccomp_policy,
		.seccomp_mode = options->seccomp_mode,
		.max_fds = WORKER_MAX_FDS,
	};
	int ret = sandbox_enter_and_report(&sandbox, prepare_worker, worker, err);

	if (ret < 0)
		return ret;
	ret = loop_run(worker->loop);
	if (ret < 0)
		return error_set_errno(err, ret, "event loop");
	return ret;
}

int worker_main(int argc, char **argv, const struct worker_device_ops *ops)
{
	struct process_options options;
	struct error err = ERROR_INIT;
	struct worker *worker;
	int ret;

	/* A second heap, which the C library makes for a second thread, looks into /proc when it
	 * shrinks. */
	(void)mallopt(M_ARENA_MAX, 1);
	ret = process_options_parse(argc, argv, "A device worker, started by bulkhead-broker.",
				    &options);
	if (ret != 0)
		return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	process_options_set_up_log(&options, ops->kind, options.device_id);
	worker = new_worker(ops, &options, &err);
	ret = worker ? run_worker(worker, &options, &err) : -ENOMEM;
	if (ret < 0)
		log_error("%s", err.message);
	destroy_worker(worker);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void *worker_device(struct worker *worker)
{
	return worker->device;
}

struct loop *worker_loop(struct worker *worker)
{
	return worker->loop;
}

const char *worker_device_id(const struct worker *worker)
{
	return worker->device_id;
}

struct guest_memory *worker_memory(struct worker *worker)
{
	return &worker->memory;
}

uint64_t worker_features(const struct worker *worker)
{
	return worker->features;
}
