/* SPDX-License-Identifier: Apache-2.0 */
/* Life and death of a device's worker as the core sees it. */
#include "vmm/core/workers/worker_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/cleanup.h"
#include "ipc/log.h"
#include "vmm/core/workers/worker_device_parts.h"

/* What the device is made of is the worker's alone once it has it. */
static void worker_device_close_fds(struct worker_device *device)
{
	for (unsigned i = 0; i < device->fd_count; i++)
		fd_close(&device->fds[i]);
	device->fd_count = 0;
}

static void worker_device_free(struct worker_device *device)
{
	channel_destroy(device->channel);
	virtio_pci_destroy(device->transport);
	if (device->configured)
		bulkhead__worker__configured__free_unpacked(device->configured, NULL);
	worker_device_close_fds(device);
	fd_close(&device->inflight_fd);
	free(device->config);
	free(device->saved_state);
	pthread_mutex_destroy(&device->wishes_lock);
	free(device);
}

static void worker_device_on_watch_closed(void *opaque)
{
	struct worker_device *device = opaque;
	void (*gone)(void *) = device->gone;
	void *gone_opaque = device->gone_opaque;

	worker_device_free(device);
	if (gone)
		gone(gone_opaque);
}

static void worker_device_kill(struct worker_device *device)
{
	struct error err = ERROR_INIT;

	if (device->pid <= 0)
		return;
	if (broker_kill(device->context->broker, device->pid, &err) < 0)
		log_error("device \"%s\": cannot kill worker %d: %s", device->id, device->pid,
			  err.message);
	device->pid = 0;
}

/* The worker is lost, for whatever reason; err says which. Idempotent. */
static void worker_device_lost(struct worker_device *device, const struct error *err)
{
	bool was_ready = device->state != WORKER_DEVICE_STARTING;

	if (device->state == WORKER_DEVICE_FAILED || device->destroying)
		return;
	device->state = WORKER_DEVICE_FAILED;
	worker_device_kill(device);
	if (!was_ready) {
		device->context->events->ready(device->context->opaque, device, err);
		return;
	}
	log_error("device \"%s\": worker lost: %s", device->id, err->message);
	if (device->transport)
		virtio_pci_set_needs_reset(device->transport);
	device->context->events->failed(device->context->opaque, device, err);
}

static void worker_device_on_channel_closed(void *owner, const struct error *err)
{
	struct worker_device *device = owner;

	channel_watch_stop(&device->watch);
	/* The broker, which is about to answer under a deadline of its own, knows why. */
	if (device->spawning)
		device->closed = *err;
	else
		worker_device_lost(device, err);
}

void worker_device_fail(struct worker_device *device, const struct error *why)
{
	/* The channel stays until the device goes; a killed worker's end closes by itself. */
	worker_device_lost(device, why);
}

static const struct channel_callbacks channel_callbacks = {
	.closed = worker_device_on_channel_closed,
};

/* What a worker claims about itself is checked before the transport is built from it. */
static int worker_device_check_description(const Bulkhead__Worker__Configured *configured,
					   struct error *err)
{
	if (!configured->n_queue_sizes || configured->n_queue_sizes > VIRTIO_PCI_MAX_QUEUES)
		return error_set(err, -EPROTO, "worker offers %zu queues",
				 configured->n_queue_sizes);
	for (size_t i = 0; i < configured->n_queue_sizes; i++) {
		uint32_t size = configured->queue_sizes[i];

		if (size < 2 || size > 1024 || (size & (size - 1)))
			return error_set(err, -EPROTO, "worker offers a queue of %u entries", size);
	}
	if (configured->config_space.len > VIRTIO_PCI_MAX_CONFIG_SPACE)
		return error_set(err, -EPROTO, "worker offers %zu bytes of config space",
				 configured->config_space.len);
	return 0;
}

/* Keep a copy of the reply, which belongs to the channel. */
static Bulkhead__Worker__Configured *configured_copy(const Bulkhead__Worker__Configured *from)
{
	size_t bytes = bulkhead__worker__configured__get_packed_size(from);
	cleanup_free uint8_t *packed = malloc(bytes ? bytes : 1);

	if (!packed)
		return NULL;
	bulkhead__worker__configured__pack(from, packed);
	return bulkhead__worker__configured__unpack(NULL, bytes, packed);
}

void worker_device_on_configured(struct worker_device *device,
				 Bulkhead__Worker__Configured *configured, const struct error *err)
{
	struct error failure = ERROR_INIT;

	if (!configured) {
		failure = *err;
	} else if (worker_device_check_description(configured, &failure) == 0) {
		device->configured = configured_copy(configured);
		if (!device->configured)
			error_set(&failure, -ENOMEM, "out of memory");
	}
	if (failure.code) {
		error_prefix(&failure, "device \"%s\"", device->id);
		worker_device_lost(device, &failure);
		return;
	}
	if (device->state != WORKER_DEVICE_STARTING)
		return;
	device->state = WORKER_DEVICE_READY;
	device->context->events->ready(device->context->opaque, device, NULL);
}

static void worker_device_on_spawned(void *opaque, int32_t pid, uint32_t uid,
				     const struct error *err)
{
	struct worker_device *device = opaque;
	struct error failure = ERROR_INIT;

	device->spawning = false;
	if (err) {
		failure = *err;
		/* The program or the sandbox cannot be had on this host. */
		if (err->code == -ENOENT || err->code == -EACCES || err->code == -EPERM ||
		    err->code == -ENOEXEC)
			failure.code = -ENODEV;
		worker_device_lost(device, &failure);
		return;
	}
	device->pid = pid;
	device->uid = uid;
	if (device->closed.code) {
		worker_device_lost(device, &device->closed);
		return;
	}
	if (device->state == WORKER_DEVICE_FAILED) {
		worker_device_kill(device);
		return;
	}
	if (worker_request_configure(device, &failure) < 0)
		worker_device_lost(device, &failure);
	worker_device_close_fds(device);
}

static int worker_device_connect(struct worker_device *device, struct error *err)
{
	int pair[2];
	char peer[96];
	int result;

	if (channel_socketpair(pair, err) < 0)
		return err->code;
	(void)snprintf(peer, sizeof(peer), "worker %s \"%s\"", device->kind, device->id);
	device->channel = channel_new(pair[0], peer, worker_device_rows, worker_device_row_count,
				      &channel_callbacks, device, err);
	if (!device->channel) {
		close(pair[0]);
		close(pair[1]);
		return err->code;
	}
	result = channel_watch_start(&device->watch, device->context->loop, device->channel, err);
	if (result == 0) {
		device->watching = true;
		result = broker_spawn(device->context->broker, device->kind, device->id, pair[1],
				      worker_device_on_spawned, device, err);
		device->spawning = result == 0;
	}
	close(pair[1]);
	return result;
}

static int worker_device_copy_options(struct worker_device *device,
				      const struct worker_device_options *options)
{
	(void)snprintf(device->id, sizeof(device->id), "%s", options->id);
	(void)snprintf(device->kind, sizeof(device->kind), "%s", options->kind);
	device->virtio_device_id = options->virtio_device_id;
	device->class_code = options->class_code;
	for (unsigned i = 0; i < options->fd_count; i++)
		device->fds[i] = options->fds[i];
	device->fd_count = options->fd_count;
	device->config = malloc(options->config_bytes + 1);
	device->saved_state = malloc(options->saved_state_bytes + 1);
	if (!device->config || !device->saved_state)
		return -ENOMEM;
	if (options->config_bytes)
		memcpy(device->config, options->config, options->config_bytes);
	device->config_bytes = options->config_bytes;
	if (options->saved_state_bytes)
		memcpy(device->saved_state, options->saved_state, options->saved_state_bytes);
	device->saved_state_bytes = options->saved_state_bytes;
	return 0;
}

struct worker_device *worker_device_new(const struct worker_device_options *options,
					const struct worker_device_context *context,
					struct error *err)
{
	struct worker_device *device = calloc(1, sizeof(*device));

	if (!device) {
		for (unsigned i = 0; i < options->fd_count; i++)
			close(options->fds[i]);
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	device->context = context;
	device->inflight_fd = -1;
	device->needs_reset_log = (struct log_ratelimit)LOG_RATELIMIT_INIT;
	device->state = WORKER_DEVICE_STARTING;
	pthread_mutex_init(&device->wishes_lock, NULL);
	device->wishes_task =
		(struct task){.run = worker_transport_carry_out_wishes, .opaque = device};
	if (worker_device_copy_options(device, options) < 0)
		error_set(err, -ENOMEM, "out of memory");
	else if (worker_device_connect(device, err) == 0)
		return device;
	error_prefix(err, "device \"%s\"", options->id);
	worker_device_destroy(device, NULL, NULL);
	return NULL;
}

int worker_device_plug(struct worker_device *device, struct kvm_vm *vm, struct pci_bus *bus,
		       int slot, struct error *err)
{
	uint16_t queue_sizes[VIRTIO_PCI_MAX_QUEUES];
	struct virtio_pci_options options = {
		.id = device->id,
		.virtio_device_id = device->virtio_device_id,
		.class_code = device->class_code,
		.features = device->configured->features,
		.config_space = device->configured->config_space.data,
		.config_space_bytes = device->configured->config_space.len,
		.queue_count = (unsigned)device->configured->n_queue_sizes,
		.queue_max_sizes = queue_sizes,
	};

	for (unsigned i = 0; i < options.queue_count; i++)
		queue_sizes[i] = (uint16_t)device->configured->queue_sizes[i];
	device->transport =
		virtio_pci_new(&options, vm, bus, slot, &worker_transport_ops, device, err);
	if (!device->transport)
		return error_prefix(err, "device \"%s\"", device->id);
	return 0;
}

void worker_device_destroy(struct worker_device *device, void (*gone)(void *opaque), void *opaque)
{
	device->destroying = true;
	device->gone = gone;
	device->gone_opaque = opaque;
	task_cancel(device->context->tasks, &device->wishes_task);
	broker_spawn_forget(device->context->broker, device);
	worker_device_kill(device);
	if (device->watching)
		channel_watch_close(&device->watch, worker_device_on_watch_closed, device);
	else
		worker_device_on_watch_closed(device);
}

static void worker_device_start_queued_reset(struct worker_device *device)
{
	worker_device_done_fn done = device->reset_done;
	struct error failure = ERROR_INIT;

	device->reset_queued = false;
	if (worker_device_reset(device, done, device->reset_opaque, &failure) == 0)
		return;
	worker_device_fail(device, &failure);
	done(device->reset_opaque, device, &failure);
}

void worker_device_finish_request(struct worker_device *device, const struct error *err)
{
	worker_device_done_fn done = device->done;
	void *opaque = device->done_opaque;
	bool always = device->done_always;
	struct error failure = ERROR_INIT;

	device->request_open = device->done_always = false;
	device->done = NULL;
	if (err) {
		failure = *err;
		error_prefix(&failure, "device \"%s\"", device->id);
	}
	if (device->destroying) {
		if (done && always) {
			error_set(&failure, -ECANCELED, "device \"%s\": the VM ended meanwhile",
				  device->id);
			done(opaque, device, &failure);
		}
		return;
	}
	device->context->events->changed(device->context->opaque, device);
	if (done)
		done(opaque, device, err ? &failure : NULL);
	/* They may have ended the VM: nothing may be posted any more for what is about to be freed.
	 */
	if (device->destroying)
		return;
	if (device->reset_queued && !device->request_open)
		worker_device_start_queued_reset(device);
	worker_transport_look_again(device);
}

const char *worker_device_id(const struct worker_device *device)
{
	return device->id;
}

const char *worker_device_kind(const struct worker_device *device)
{
	return device->kind;
}

enum worker_device_state worker_device_state(const struct worker_device *device)
{
	return device->state;
}

struct virtio_pci *worker_device_transport(const struct worker_device *device)
{
	return device->transport;
}

int32_t worker_device_pid(const struct worker_device *device)
{
	return device->pid;
}

uint32_t worker_device_uid(const struct worker_device *device)
{
	return device->uid;
}
